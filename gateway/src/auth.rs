//! JSON Web Tokens, and who is behind one.
//!
//! The guard of REST and the handshake ask the [`Verifier`]. A gateway without authentication has
//! none, puts no guard around its routes, and pays nothing.

mod secret;
mod token;

pub use secret::{Secret, SecretArguments};
pub use token::{Claims, LEEWAY, Refused, Verifier, Who, mint, now};
