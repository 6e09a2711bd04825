//! Messages between the coordinator and its engines: one JSON value per line, over standard input
//! and output of the engine.

use serde::{Deserialize, Serialize};

use crate::measures::Measures;

/// An order of the coordinator to an engine. The plan comes before the first one; the end of the
/// input makes the engine exit at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EngineOrder {
    /// Start the load: every engine is ready.
    Begin,
    /// Stop at once and send [`EngineMessage::Done`].
    Stop,
}

/// A message of an engine to the coordinator.
#[derive(Debug, Serialize, Deserialize)]
pub enum EngineMessage {
    Tick(Box<Tick>),
    /// Every socket is open or was given up.
    Ready(MemoryUse),
    Done(RunDone),
}

/// The events since the last tick.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tick {
    pub open: u64,
    /// The microsecond of the load at which an order last became known to have ended.
    pub last_end: u64,
    pub measures: Measures,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Resident bytes before the first socket.
    pub before: u64,
    /// Resident bytes with all of them.
    pub with_sockets: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RunDone {
    pub processor_ms: u64,
    /// Accepted orders whose sockets disagree on the newest version, or agree on one that is not an
    /// ended state: the order, and the number of sockets that know version 0 (none), 1, 2 …
    pub unsettled: Vec<(i64, Vec<u64>)>,
    /// A sample of the accepted orders whose sockets agree on an ended version, and this version.
    pub settled: Vec<(i64, i32)>,
}
