//! What one engine is to do. The coordinator makes one for each engine and hands it over as the
//! first line of its input.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The plan of one engine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The number of the engine; the first is 0.
    pub number: u32,
    /// How many there are.
    pub engines: u32,
    /// The seed of all random choices.
    pub seed: u64,
    /// Where the gateways listen.
    pub gateways: Vec<SocketAddr>,
    /// The values of the `Host` field, in the same order.
    pub hosts: Vec<String>,
    /// The path before `/ws` and `/orders`.
    pub path: String,
    /// Local addresses to connect from; the system chooses when there are none.
    pub sources: Vec<IpAddr>,
    /// The heroes of this engine and of no other.
    pub heroes: Vec<i64>,
    /// The first so many of them order.
    pub ordering: usize,
    /// The meals to order.
    pub meals: Vec<i64>,
    /// Sockets, spread over the heroes in turns.
    pub sockets: usize,
    /// Sockets of staff that watch the whole feed.
    pub dashboards: usize,
    /// The slow readers among 1,000 sockets.
    pub slow_permille: usize,
    /// Bytes a second that a slow socket reads.
    pub slow_rate: usize,
    /// Sockets opened a second; as fast as they can be when absent.
    pub ramp: Option<f64>,
    /// How orders are placed; none when absent.
    pub pace: Option<Pace>,
    /// Orders at once, again and again.
    pub burst: Option<Every<usize>>,
    /// Connections that place orders over REST; over the sockets when absent.
    pub rest: Option<usize>,
    /// Sockets cut at once, again and again: so many of 1,000.
    pub storm: Option<Every<usize>>,
    /// How long orders are placed or sockets held, in milliseconds.
    pub duration: u64,
    /// How long to wait for the last states after that, in milliseconds.
    pub settle: u64,
    /// The simulated preparation, in milliseconds, when it is always the same.
    pub delay: Option<i64>,
}

/// How fast orders are placed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Pace {
    /// So many a second, each at its moment, whatever becomes of those before it: an open model.
    Open {
        /// Orders a second.
        rate: f64,
    },
    /// The next when one is answered: a closed model.
    Closed {
        /// Sockets that place; connections over REST are as many as there are.
        placers: usize,
        /// Orders of each that wait for their answer.
        in_flight: usize,
    },
}

/// Something that happens again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Every<T> {
    /// Milliseconds from one to the next; the first comes after as many.
    pub period: u64,
    /// The thing that recurs.
    pub what: T,
}
