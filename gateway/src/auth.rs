//! Who a caller is, and what it may see: JSON Web Tokens, and who is behind one.
//!
//! REST asks `guard` before a handler runs, the handshake asks [`Verifier`]. A gateway without authentication has no verifier, puts no
//! guard around its routes, and pays nothing.

mod caller;
mod guard;
mod secret;
mod token;

pub use caller::Caller;
pub use guard::{bearer, members, staff, unauthorized};
pub use secret::{Secret, SecretArguments};
pub use token::{Claims, LEEWAY, Refused, Verifier, Who, mint, now};
