//! JSON Web Tokens, and the caller that a token names.
//!
//! The guard of REST and the handshake of sockets ask the [`Verifier`]. Without authentication
//! there is no verifier, and no guard around the routes.

mod revoked_heroes;
mod verifier;

pub use revoked_heroes::RevokedHeroes;
pub use verifier::{Claims, LEEWAY, TokenRejection, Verifier};

use galley_launch::{Hangups, SecretArguments};
use tracing::{error, info};

/// Reads the secret of tokens again at each hangup. A secret that cannot be read leaves the earlier
/// one in force.
pub async fn read_again(arguments: &SecretArguments, verifier: &Verifier) {
    let mut hangups = Hangups::listen();
    loop {
        hangups.next().await;
        match arguments.read() {
            Ok(secret) => {
                verifier.replace(&secret);
                info!("the secret of tokens is read again");
            }
            Err(error) => error!(error, "the secret of tokens stays as it was"),
        }
    }
}
