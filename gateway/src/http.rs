//! Connections of HTTP/1: the accept loop, hyper's parser, and deadlines.
//!
//! hyper itself answers 400 or 431 to what it cannot parse; [`bare`] turns that into a problem.

mod bare;
pub mod origin;
mod serve;
mod tracked_stream;

pub use serve::{Cut, serve};
pub use tracked_stream::TrackedStream;
