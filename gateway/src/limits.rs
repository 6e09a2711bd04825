//! How much one socket, one address, and all clients together may take of a gateway.
//!
//! Whoever is at a limit is told so, with the time after which to try again, and counted by
//! [`count`]: nothing is dropped in silence. What a limit itself holds is bounded as well, and
//! given back when the client is gone, however it went.

pub mod address;
pub mod rate;
pub mod seats;

pub use address::Address;
pub use rate::{Meter, Rate};
pub use seats::{Full, Seat, Seats};

use crate::metrics;

/// Counts that a client came upon a limit.
pub fn count(limit: &'static str) {
    ::metrics::counter!(metrics::LIMITS_REACHED, "limit" => limit).increment(1);
}
