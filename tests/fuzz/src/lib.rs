//! What reads the words of strangers, fed with anything: no input may make it panic, and what it
//! accepts must lead back to itself.
//!
//! A target is a plain function of bytes, so that any fuzzer can drive it: [`run`] without a guide,
//! libFuzzer for a search that is led by coverage (`tests/fuzz/guided`, see CONTRIBUTING.md). The
//! corpus of each is in `corpus/`, one input a file.

mod corpus;
mod mutate;
mod run;
mod targets;

pub use corpus::corpus;
pub use run::{Crash, run};
pub use targets::{TARGETS, Target};
