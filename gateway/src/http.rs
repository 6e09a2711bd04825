//! Connections of HTTP/1: the accept loop, hyper's parser, and deadlines.
//!
//! hyper itself answers 400 or 431 to what it cannot parse; [`bare`] turns that into a problem.

mod bare;
mod line;
pub mod origin;
mod serve;

pub use line::Line;
pub use serve::{Cut, serve};
