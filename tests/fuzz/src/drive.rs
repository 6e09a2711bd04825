//! A search without coverage: mutations of the corpus, as many as time allows.

use std::panic;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::corpus::corpus;
use crate::mutate::mutate;
use crate::targets::FuzzTarget;

/// An input that made a target panic.
#[derive(Clone, Debug)]
pub struct Crash {
    /// The input.
    pub input: Vec<u8>,
}

/// Feeds the target with its corpus, and with mutations of it until the time is over. Returns the
/// number of inputs.
///
/// # Errors
/// [`Crash`] with the first input that made it panic; the panic itself has been printed.
pub fn run(target: FuzzTarget, time: Duration, seed: u64) -> Result<u64, Crash> {
    let began = Instant::now();
    let inputs: Vec<Vec<u8>> = corpus(target.name).into_iter().map(|(_, input)| input).collect();
    let mut taken = 0;
    for input in &inputs {
        feed(target, input)?;
        taken += 1;
    }
    let mut random = StdRng::seed_from_u64(seed);
    while began.elapsed() < time {
        feed(target, &mutate(&mut random, &inputs))?;
        taken += 1;
    }
    Ok(taken)
}

fn feed(target: FuzzTarget, input: &[u8]) -> Result<(), Crash> {
    panic::catch_unwind(|| (target.feed)(input)).map_err(|_| Crash { input: input.to_vec() })
}
