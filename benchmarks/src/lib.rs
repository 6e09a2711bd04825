//! What the measurements have in common.

pub mod client;
