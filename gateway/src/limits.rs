//! Limits on what one socket, one address, one caller, and all clients together may use of a
//! gateway.
//!
//! A client at a limit is told so, with the time after which to retry, and is counted by [`count`]:
//! nothing is dropped silently. The memory of a limit is bounded as well, and is released when the
//! client is gone, for whatever reason.

pub mod address;
mod bounded_map;
mod caller_key;
mod caller_limits;
mod meters;
pub mod rate;
mod read_turns;
pub mod seats;
mod unread_answers;
mod waiting_sockets;

pub use address::Address;
pub use bounded_map::{BoundedMap, Forgettable};
pub use caller_key::CallerKey;
pub use caller_limits::{CallerLimits, RefusalVerdict, too_fast};
pub use meters::Meters;
pub use rate::{ByteRate, Meter, RateLimit};
pub use read_turns::{ReadTurn, ReadTurns};
pub use seats::{NoSeat, Seat, Seats};
pub use unread_answers::UnreadAnswers;
pub use waiting_sockets::{WaitingPlace, WaitingSockets};

use galley_protocol::{Problem, ProblemType, Sentence};

use crate::metrics;

/// The wait that a caller with too much under way is asked for, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

pub fn count(limit: &'static str) {
    ::metrics::counter!(metrics::LIMITS_REACHED, "limit" => limit).increment(1);
}

/// Counts a caller that has too much under way, and returns its problem.
fn too_much(limit: &'static str, detail: Sentence) -> Problem {
    count(limit);
    Problem::new(ProblemType::RateLimited).with_detail(detail).with_retry_after(RETRY_AFTER_MS)
}
