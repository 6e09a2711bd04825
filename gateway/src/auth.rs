//! JSON Web Tokens, and the caller that a token names.
//!
//! The guard of REST and the handshake of sockets ask the [`Verifier`]. Without authentication
//! there is no verifier, and no guard around the routes.

mod secret;
mod token;

pub use secret::{Secret, SecretArguments};
pub use token::{Claims, LEEWAY, Refused, Verifier, Who, mint, now};
