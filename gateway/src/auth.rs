//! JSON Web Tokens, and the caller that a token names.
//!
//! The guard of REST and the handshake of sockets ask the [`Verifier`]. Without authentication
//! there is no verifier, and no guard around the routes.

mod jwt;
mod secret;

pub use jwt::{Claims, LEEWAY, TokenRejection, Verifier, Who, mint, now};
pub use secret::{Secret, SecretArguments};
