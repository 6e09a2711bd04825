//! The metrics of all programs.
//!
//! [`METRICS`] is the one table: each metric has its name, its kind, its labels with all their
//! values, and its explanation. `docs/metrics.md` is made from it, and [`install`] registers
//! every series of a program with the value 0, so that a rate sees the first event.
//!
//! A program that installs no recorder counts nothing: each `counter!` is then one atomic load.

mod metric_document;
mod metric_table;
mod recorder;

pub use metric_document::document;
pub use metric_table::*;
pub use recorder::{install, render, upkeep};
