//! Fuzz targets for every parser of untrusted input: no input may make it panic, and accepted input
//! must survive a round trip.
//!
//! A target is a plain function of bytes, so that any fuzzer can drive it: [`run`] without
//! coverage, libFuzzer for a coverage-guided search (`tests/fuzz/guided`, see CONTRIBUTING.md). The
//! corpus of each target is in `corpus/`, one input per file.

mod corpus;
mod drive;
mod mutate;
mod targets;

pub use corpus::corpus;
pub use drive::{Crash, run};
pub use targets::{FuzzTarget, TARGETS};
