//! A target driven by libFuzzer: `tests/fuzz/guided` builds and starts it. The variable
//! `GALLEY_FUZZ_TARGET` names the target; the arguments are libFuzzer's.

#![no_main]

use std::sync::LazyLock;

use galley_fuzz::{FuzzTarget, TARGETS};

static CHOSEN: LazyLock<FuzzTarget> = LazyLock::new(|| {
    let name = std::env::var("GALLEY_FUZZ_TARGET").expect("tests/fuzz/guided names the target");
    let known = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    *TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("there is no target {name}, but {}", known()))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (CHOSEN.feed)(input));
