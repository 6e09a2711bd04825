//! The heartbeat of a publisher: "I live, this is my last number here, and all before this cursor
//! is published".
//!
//! Every process that publishes says so every second on the channel of every shard, behind what it
//! published there. It shows what the updates alone cannot:
//!
//! - that this process hears at all: its own heartbeat comes back on a shard, or the subscription
//!   is deaf for that shard;
//! - that the last message of a publisher was lost, though no further one shows a hole in the
//!   numbers;
//! - how far a subscription has been told everything, and that a publisher which the database knows
//!   to live is not heard.
//!
//! A heartbeat is one line of text: `galley3-beat <publisher> <last number> <published cursor or
//! ->`. A process that leaves in order says `galley3-bye` instead, and nothing more after it.

use std::time::Duration;

use galley_protocol::{PublisherId, ResumeCursor};

/// How often a publisher says that it lives.
pub(crate) const BEAT: Duration = Duration::from_secs(1);

/// A publisher that is silent for so long is gone, or cannot be heard; long enough that a busy
/// machine is not taken for a dead one.
pub(crate) const SILENCE: Duration = Duration::from_secs(4);

const BEATS: &str = "galley3-beat";
const LEAVES: &str = "galley3-bye";

/// A heartbeat of a publisher on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// The process that sends it.
    pub(crate) publisher: PublisherId,
    /// The number of its last message on this shard; 0 if there was none.
    pub(crate) number: u64,
    /// Everything that it committed before was published, or left a hole.
    pub(crate) published: Option<ResumeCursor>,
    /// It will not say anything more.
    pub(crate) leaves: bool,
}

impl Heartbeat {
    /// Returns the message on the channel.
    pub(crate) fn encode(&self) -> String {
        let head = if self.leaves { LEAVES } else { BEATS };
        let published =
            self.published.map_or_else(|| "-".to_owned(), |published| published.to_string());
        format!("{head} {} {} {published}", self.publisher, self.number)
    }

    /// Reads a message; nothing if it is no heartbeat.
    pub(crate) fn decode(message: &[u8]) -> Option<Self> {
        if !message.starts_with(b"galley3-b") {
            return None;
        }
        let mut words = std::str::from_utf8(message).ok()?.split(' ');
        let leaves = match words.next()? {
            BEATS => false,
            LEAVES => true,
            _ => return None,
        };
        let (publisher, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let cursor = match words.next()? {
            "-" => None,
            word => Some(word.parse().ok()?),
        };
        words.next().is_none().then_some(Self { publisher, number, published: cursor, leaves })
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::PublisherId;

    use super::Heartbeat;
    use crate::cursor::at;

    #[test]
    fn a_heartbeat_leads_back_to_where_it_came_from() {
        let publisher = PublisherId::new(7).expect("an id");
        let beat = Heartbeat { publisher, number: 0, published: None, leaves: false };
        assert_eq!(beat.encode(), "galley3-beat 7 0 -");
        assert_eq!(Heartbeat::decode(beat.encode().as_bytes()), Some(beat.clone()));
        let bye = Heartbeat { number: u64::MAX, published: Some(at(9)), leaves: true, ..beat };
        assert_eq!(bye.encode(), format!("galley3-bye 7 18446744073709551615 {}", at(9)));
        assert_eq!(Heartbeat::decode(bye.encode().as_bytes()), Some(bye));
    }

    #[test]
    fn garbage_is_none() {
        for garbage in [
            &b""[..],
            b"\xff",
            b"galley3-beat",
            b"galley3-beat 7",
            b"galley3-beat 7 1",
            b"galley3-beat 7 1 x",
            b"galley3-beat 0 1 -",
            b"galley3-beat 7 -1 -",
            b"galley3-beat 7 1 - ",
            b"galley3-bee 7 1 -",
            b"galley3-b\xff 7 1 -",
            b"galley3 7 1\n",
        ] {
            assert_eq!(Heartbeat::decode(garbage), None, "{garbage:?}");
        }
    }
}
