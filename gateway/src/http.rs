//! Connections of HTTP/1: the accept loop, hyper's parser, and its deadlines.
//!
//! What hyper cannot read as HTTP/1 gets hyper's own 400 or 431, which [`bare`] makes a problem.

mod bare;
mod line;
pub mod origin;
mod serve;

pub use line::Line;
pub use serve::{Cut, serve};
