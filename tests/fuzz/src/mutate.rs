//! New inputs from old ones.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _};

/// The longest input: a little more than the largest message, so that its bound is tested as well.
const MAX_INPUT: usize = 20_000;
/// Inputs that often break parsers of text and numbers.
const TRAPS: &[&[u8]] = &[
    b"",
    b"\0",
    b"\n",
    b"\xFF",
    b"\xEF\xBB\xBF",
    "\u{2028}".as_bytes(),
    "\u{1F9B8}\u{200D}".as_bytes(),
    "e\u{301}\u{AD}".as_bytes(),
    b"-0",
    b"-1",
    b"1e308",
    b"1e-400",
    b"0.005",
    b"9007199254740993",
    b"9223372036854775808",
    b"18446744073709551616",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":",
    b"\\u0000",
    b"\\uD800",
    b"null",
];

/// Makes a few random changes at random places.
pub fn mutate(random: &mut StdRng, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut input = inputs.choose(random).cloned().unwrap_or_default();
    for _ in 0..random.random_range(1..=4) {
        change(random, &mut input, inputs);
    }
    input.truncate(MAX_INPUT);
    input
}

fn change(random: &mut StdRng, input: &mut Vec<u8>, inputs: &[Vec<u8>]) {
    let at = random.random_range(0..=input.len());
    let to = random.random_range(at..=input.len());
    match random.random_range(0..7) {
        0 => drop(input.drain(at..to)),
        1 => {
            let trap = TRAPS.choose(random).copied().unwrap_or_default();
            input.splice(at..to.min(at + trap.len()), trap.iter().copied());
        }
        2 => {
            let repeated = input[at..to].repeat(random.random_range(1..=8));
            input.splice(at..at, repeated.into_iter().take(MAX_INPUT));
        }
        3 => {
            // A part of another input.
            let other = inputs.choose(random).map_or(&[][..], Vec::as_slice);
            let from = random.random_range(0..=other.len());
            let until = random.random_range(from..=other.len());
            input.splice(at..at, other[from..until].iter().copied());
        }
        4 => {
            let byte = u8::try_from(random.next_u32() & 0xFF).expect("eight bits");
            input.insert(at, byte);
        }
        _ => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
    }
}
