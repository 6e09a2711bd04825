//! No target panics on its corpus or on a second of mutations of it.

use std::time::Duration;

use galley_fuzz::{FuzzTarget, TARGETS, run};

/// Fixed, so that a failure repeats; `galley-fuzz` takes another seed each time.
const SEED: u64 = 6_455;
const TIME: Duration = Duration::from_secs(1);

#[test]
fn every_target_bears_its_corpus_and_changes_of_it() {
    for target in TARGETS {
        match run(*target, TIME, SEED) {
            Ok(taken) => assert!(taken > 100, "{}: only {taken} inputs", target.name),
            Err(crash) => panic!("{}: {:?}", target.name, String::from_utf8_lossy(&crash.input)),
        }
    }
}

#[test]
fn a_target_that_panics_is_found_out() {
    let fragile = |input: &[u8]| assert!(!input.contains(&0), "a zero");
    let crash = run(FuzzTarget { name: "names", feed: fragile }, Duration::from_secs(30), SEED)
        .expect_err("an input with a zero");
    assert!(crash.input.contains(&0));
}
