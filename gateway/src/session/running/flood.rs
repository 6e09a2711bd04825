//! The end of a socket that floods. Control frames cost no command rate, and a refused command
//! costs only its answer: a client that sends far too many of them is closed with 1008. A client
//! that waits as it is told never comes near.

use galley_protocol::close_code::CloseCode;

use crate::limits::rate::RateVerdict;
use crate::limits::{self, Meter, RateLimit};
use crate::session::wire::Closed;

/// The pings and pongs of one socket.
const CONTROL: RateLimit = RateLimit::each_second(100, 500);
/// The refused commands of one socket. The burst answers whoever sends thousands at once by
/// mistake.
const REFUSALS: RateLimit = RateLimit::each_second(200, 10_000);

/// The parts of these rates that a client has used.
#[derive(Debug, Default)]
pub struct FloodGauge {
    control: Meter,
    refusals: Meter,
}

impl FloodGauge {
    /// Counts a ping or a pong.
    pub fn note_control(&mut self) -> Result<(), Closed> {
        judge(self.control.take(CONTROL))
    }

    /// Counts a refused command.
    pub fn note_refusal(&mut self) -> Result<(), Closed> {
        judge(self.refusals.take(REFUSALS))
    }
}

fn judge(verdict: RateVerdict) -> Result<(), Closed> {
    match verdict {
        RateVerdict::Taken { .. } => Ok(()),
        RateVerdict::Wait(_) => {
            limits::count("flooding");
            Err(Closed::With(CloseCode::Flooding))
        }
    }
}
