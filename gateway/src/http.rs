//! Connections of HTTP/1: the accept loop, hyper's parser, and deadlines.
//!
//! hyper itself answers 400 or 431 to what it cannot parse; [`bare`] turns that into a problem.

mod bare;
pub mod base_path;
pub mod entrance;
mod forwarding;
pub mod header_list;
pub mod host;
mod lingering;
mod open_connections;
pub mod origin;
mod read_ahead;
mod scheme;
mod serve;
mod tracked_stream;
mod trusted_proxies;

pub use open_connections::OpenConnections;
pub use serve::{Cut, serve};
pub use tracked_stream::{AmbiguousLength, TrackedStream};
pub use trusted_proxies::TrustedProxies;
