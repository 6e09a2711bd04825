//! Limits on what one socket, one address, and all clients together may use of a gateway.
//!
//! A client at a limit is told so, with the time after which to retry, and is counted by [`count`]:
//! nothing is dropped silently. The memory of a limit is bounded as well, and is released when the
//! client is gone, for whatever reason.

pub mod address;
pub mod rate;
pub mod seats;

pub use address::Address;
pub use rate::{Meter, RateLimit};
pub use seats::{NoSeat, Seat, Seats};

use crate::metrics;

pub fn count(limit: &'static str) {
    ::metrics::counter!(metrics::LIMITS_REACHED, "limit" => limit).increment(1);
}
