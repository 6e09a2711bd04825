//! The plan of one engine, the first line of its input.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::action_mix::ActionMix;
use crate::load_stage::LinearProfile;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The number of the engine; the first is 0.
    pub number: u32,
    pub engines: u32,
    pub seed: u64,
    /// A random number, which makes the idempotency keys of a test its own.
    pub run: u64,
    pub gateways: Vec<SocketAddr>,
    /// The `Host` header for each gateway, in the same order.
    pub hosts: Vec<String>,
    /// The path prefix of `/ws` and `/orders`.
    pub path: String,
    /// TLS, for gateways at `https://`.
    pub tls: Option<TlsPlan>,
    /// The tokens; none without authentication.
    pub tokens: LoadTokens,
    /// Local addresses to connect from; the system chooses if there are none.
    pub sources: Vec<IpAddr>,
    /// The heroes whose sockets this engine holds; no other engine has them.
    pub heroes: Vec<i64>,
    /// The number of heroes of all engines.
    pub all_heroes: usize,
    /// The number of these heroes that order: the first ones of the list.
    pub ordering: usize,
    pub meals: Vec<i64>,
    /// Sockets of heroes, dealt to the heroes in turn.
    pub sockets: usize,
    /// The sockets of all engines over time; `None` if all are opened before the load.
    pub profile: Option<LinearProfile>,
    /// Sockets of staff that watch the whole feed.
    pub dashboards: usize,
    /// Event streams among 1,000 sockets.
    pub stream_permille: usize,
    /// Slow readers among 1,000 sockets.
    pub slow_permille: usize,
    /// Bytes per second that a slow socket reads.
    pub slow_rate: usize,
    /// Sockets opened per second by all engines together; `None` for as fast as possible.
    pub ramp: Option<f64>,
    /// The pace of orders; `None` if no orders are placed.
    pub pace: Option<PlacingPace>,
    /// The kinds of requests; `None` if all of them place orders.
    pub mix: Option<ActionMix>,
    /// True if orders have idempotency keys, so that a request without answer can be repeated.
    pub keys: bool,
    /// Orders of all engines together that are due at the same moment, periodically.
    pub burst: Option<Every<usize>>,
    /// Connections that place orders over REST; `None` if the sockets place them.
    pub rest: Option<usize>,
    /// Sockets among 1,000 that are cut at the same moment, periodically.
    pub storm: Option<Every<usize>>,
    /// Duration of the load, in milliseconds.
    pub duration: u64,
    /// Maximum wait for the last states after the load, in milliseconds.
    pub settle: u64,
    /// The worker's constant simulated preparation, in milliseconds; else computed from the frames.
    pub delay: Option<i64>,
}

/// TLS of all gateways.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TlsPlan {
    /// The name that the certificate of each gateway must show, in the order of the gateways.
    pub names: Vec<String>,
    /// The file of the authorities to trust; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
}

/// The tokens of an engine's connections.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct LoadTokens {
    /// The token of staff: for dashboards, and for orders over REST.
    pub staff: Option<String>,
    /// A token for each hero, in the order of the heroes; empty without authentication.
    pub heroes: Vec<String>,
}

impl std::fmt::Debug for LoadTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LoadTokens(…)")
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PlacingPace {
    /// Orders at a rate, each due at its moment whatever became of earlier ones: an open model.
    Open {
        /// Orders per second of all engines together.
        rate: LinearProfile,
    },
    /// A new order as soon as an earlier one is answered: a closed model.
    Closed {
        /// Sockets of this engine that place; over REST all connections do.
        placers: usize,
        /// Unanswered orders of each socket; over REST it is always one.
        in_flight: usize,
    },
}

/// A periodic event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Every<T> {
    /// The period, in milliseconds; the first event comes after one period.
    pub period: u64,
    pub what: T,
}
