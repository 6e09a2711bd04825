//! What the coordinator and its engines say to each other: one JSON value a line, over the engine's
//! standard input and output.

use serde::{Deserialize, Serialize};

use crate::measures::Measures;

/// The coordinator to an engine, after the plan. The end of the input ends the engine at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Every engine has its sockets: begin.
    Begin,
    /// Stop placing, and tell what there is so far.
    Stop,
}

/// An engine to the coordinator.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// Once a second.
    Tick(Box<Tick>),
    /// Each socket is open or was given up.
    Ready(Memory),
    /// The last.
    Done(Done),
}

/// The events since the last tick.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tick {
    /// Sockets that are open now.
    pub open: u64,
    /// When the last end of an order was first seen, in microseconds since orders are placed.
    pub last_end: u64,
    /// The measurements since.
    pub measures: Measures,
}

/// The memory of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Resident bytes before the first socket.
    pub before: u64,
    /// Resident bytes with all of them.
    pub with_sockets: u64,
}

/// How it ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Done {
    /// Milliseconds of processor time.
    pub processor_ms: u64,
    /// Accepted orders that sockets know in different versions: order, and how many sockets know
    /// version 0 (none), 1, 2 …
    pub unsettled: Vec<(i64, Vec<u64>)>,
    /// Some of the accepted orders that every socket knows in the same ended version: order and
    /// version.
    pub settled: Vec<(i64, i32)>,
}
