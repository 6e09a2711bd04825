//! The end of a socket that floods with control frames, which cost no command rate: it is closed
//! with 1008.

use galley_protocol::close_code::CloseCode;

use crate::limits::rate::RateVerdict;
use crate::limits::{self, Meter, RateLimit};
use crate::session::wire::Closed;

/// The pings and pongs of one socket.
const CONTROL: RateLimit = RateLimit::each_second(100, 500);

/// The part of the rate of control frames that a socket has used.
#[derive(Debug, Default)]
pub struct FloodGauge(Meter);

impl FloodGauge {
    /// Counts a ping or a pong.
    pub fn note_control(&mut self) -> Result<(), Closed> {
        match self.0.take(CONTROL) {
            RateVerdict::Taken { .. } => Ok(()),
            RateVerdict::Wait(_) => {
                limits::count("flooding");
                Err(Closed::With(CloseCode::Flooding))
            }
        }
    }
}
