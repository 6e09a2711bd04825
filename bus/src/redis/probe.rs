//! The heartbeat of a publisher: "I live, and these are my last numbers".
//!
//! Every process that publishes says so every second on a channel of its own, which every subscription listens to. It shows three
//! things that the updates alone cannot:
//!
//! - that this process hears at all: its own heartbeat comes back, or the subscription is deaf;
//! - that the last message of a publisher was lost, though no further one shows a hole in the numbers;
//! - that a publisher is gone, and may have died between a commit and its publication.
//!
//! A heartbeat is one line of text: `galley2 <publisher> <last number on shard 0> <on shard 1> …`.

use std::fmt::Write as _;
use std::time::Duration;

/// How often a publisher says that it lives.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// A publisher that is silent for so long is gone, or cannot be heard; long enough that a busy machine is not taken for a dead one.
pub(super) const SILENCE: Duration = Duration::from_secs(4);

/// A subscription that does not hear this process's own heartbeat for so long is deaf.
pub(super) const DEAF_AFTER: Duration = Duration::from_secs(3);

const MAGIC: &str = "galley2";

/// A heartbeat of a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// Who.
    pub(super) publisher: u64,
    /// Its last number on each shard; 0 where it has said nothing yet.
    pub(super) numbers: Vec<u64>,
}

impl Probe {
    /// The message on the channel.
    pub(super) fn encode(&self) -> String {
        let mut message = format!("{MAGIC} {}", self.publisher);
        for number in &self.numbers {
            write!(message, " {number}").expect("writing to memory does not fail");
        }
        message
    }

    /// Reads a message; nothing when it is no heartbeat with a number for each of so many shards.
    pub(super) fn decode(message: &[u8], shards: usize) -> Option<Self> {
        let mut words = std::str::from_utf8(message).ok()?.split(' ');
        if words.next() != Some(MAGIC) {
            return None;
        }
        let publisher = words.next()?.parse().ok()?;
        let numbers: Vec<u64> = words.take(shards + 1).map(|word| word.parse().ok()).collect::<Option<_>>()?;
        (numbers.len() == shards).then_some(Self { publisher, numbers })
    }
}

#[cfg(test)]
mod tests {
    use super::Probe;

    #[test]
    fn a_heartbeat_leads_back_to_where_it_came_from() {
        let probe = Probe { publisher: u64::MAX, numbers: vec![0, 7] };
        assert_eq!(probe.encode(), "galley2 18446744073709551615 0 7");
        assert_eq!(Probe::decode(probe.encode().as_bytes(), 2), Some(probe));
    }

    #[test]
    fn garbage_is_none() {
        for garbage in
            [&b""[..], b"\xff", b"galley2", b"galley2 1", b"galley2 1 2 3", b"galley2 1 x", b"galley1 1 2", b"galley2 1 2 "]
        {
            assert_eq!(Probe::decode(garbage, 1), None, "{garbage:?}");
        }
    }
}
