//! The start and the end of Galley's programs: the command line, logs, signals, exit codes, waiting
//! for the database and the bus.
//!
//! Every `main.rs` is the same three steps: [`parse`], [`run`], and a body that opens its
//! [`Backends`] and serves.

mod announce;
mod backends;
mod close;
mod crew;
mod duration;
mod failure;
mod health;
mod hidden;
mod listen;
mod log;
mod parse;
mod run;
mod signals;
mod wait;

pub use announce::announce;
pub use backends::{Backends, Namespace, migrate, open_bus, open_store, schema, tell_start};
pub use close::{close_store, leave_bus};
pub use crew::{Crew, Died, StopOrder};
pub use duration::parse_duration;
pub use failure::Failure;
pub use health::{HealthConfig, fresh};
pub use hidden::Hidden;
pub use listen::{
    Accepted, BadAddress, ListenAddress, ListenError, Listener, ReachedAt, Transport,
};
pub use log::{LogConfig, LogFormat, LogRules};
pub use parse::{one_line, parse, try_parse};
pub use run::run;
pub use wait::{NotYet, Patience, WaitConfig};
