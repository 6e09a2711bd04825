//! The heartbeat of a publisher: "I am alive, this is my last number on this shard, and everything
//! before this cursor is published".
//!
//! Every process that publishes sends one per second on the channel of every shard, behind
//! everything that it published there. It shows what the updates alone cannot:
//!
//! - that this process receives anything: its own heartbeat comes back on a shard, or the
//!   subscription to that shard is cut;
//! - that the last message of a publisher was lost: without a further message, no number shows the
//!   hole;
//! - the cursor up to which a subscription has received everything;
//! - that a publisher is silent although it is alive according to the database;
//! - what the process reports about itself.
//!
//! A heartbeat is one line of text: `galley3-beat <publisher> <last number> <published cursor or
//! -> <report>`, and the signature ([`galley_protocol::message_keys`]). The report is absent before
//! the process knows its role. A process that stops in order sends
//! `galley3-bye` instead, and nothing after it. A newer version may insert words before the
//! signature, which are passed over, or send a cursor that this one cannot read, which counts as
//! none. While processes of a version live that read no signature, a copy without one precedes it.

use std::sync::Arc;
use std::time::Duration;

use galley_protocol::update::MAX_NUMBER;
use galley_protocol::{ProcessReport, PublisherId, ResumeCursor};

/// Interval between two heartbeats of a publisher.
pub(crate) const BEAT: Duration = Duration::from_secs(1);

/// Silence after which a publisher counts as gone or unreachable. It is long enough that a busy
/// machine does not count as dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(4);

const BEATS: &str = "galley3-beat";
const LEAVES: &str = "galley3-bye";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) publisher: PublisherId,
    /// The number of its last message on this shard; 0 if there was none.
    pub(crate) number: u64,
    /// Everything that it committed before this cursor was published or left a hole.
    pub(crate) published: Option<ResumeCursor>,
    /// This is its last message.
    pub(crate) leaves: bool,
    /// `None` if it cannot be read, or comes from a version that sends none.
    pub(crate) report: Option<Arc<ProcessReport>>,
}

impl Heartbeat {
    pub(crate) fn encode(&self) -> String {
        let head = if self.leaves { LEAVES } else { BEATS };
        let published =
            self.published.map_or_else(|| "-".to_owned(), |published| published.to_string());
        let report = self.report.as_ref().map(|report| format!(" {}", report.encode()));
        let report = report.unwrap_or_default();
        format!("{head} {} {} {published}{report}", self.publisher, self.number)
    }

    /// Reads a message; `None` if it is not a heartbeat.
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
        if number > MAX_NUMBER {
            return None;
        }
        let cursor = words.next()?.parse().ok();
        let report = words.find_map(ProcessReport::decode).map(Arc::new);
        Some(Self { publisher, number, published: cursor, leaves, report })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use galley_protocol::{ProcessReport, PublisherId};

    use super::{Heartbeat, MAX_NUMBER};
    use crate::test_cursor::at;

    #[test]
    fn a_heartbeat_leads_back_to_where_it_came_from() {
        let publisher = PublisherId::new(7).expect("an id");
        let beat = Heartbeat { publisher, number: 0, published: None, leaves: false, report: None };
        assert_eq!(beat.encode(), "galley3-beat 7 0 -");
        assert_eq!(Heartbeat::decode(beat.encode().as_bytes()), Some(beat.clone()));
        let bye =
            Heartbeat { number: MAX_NUMBER, published: Some(at(9)), leaves: true, ..beat.clone() };
        assert_eq!(bye.encode(), format!("galley3-bye 7 281474976710656 {}", at(9)));
        assert_eq!(Heartbeat::decode(bye.encode().as_bytes()), Some(bye));
        let report = Some(Arc::new(ProcessReport::new("1", "host", 3)));
        let reports = Heartbeat { report, ..beat.clone() };
        let line = reports.encode();
        for line in [line.clone(), line.replace(" {", " more {"), format!("{line} more mac=x")] {
            assert_eq!(Heartbeat::decode(line.as_bytes()), Some(reports.clone()), "{line}");
        }
        for newer in ["galley3-beat 7 0 - more", "galley3-beat 7 0 s1", "galley3-beat 7 0 - "] {
            assert_eq!(Heartbeat::decode(newer.as_bytes()), Some(beat.clone()), "{newer}");
        }
    }

    #[test]
    fn garbage_is_none() {
        let garbage = b"|\xff|galley3-beat|galley3-beat 7|galley3-beat 7 1|\
            galley3-beat 0 1 -|galley3-beat 7 -1 -|galley3-beat 7 281474976710657 -|galley3-bee 7 1 -|\
            galley3-b\xff 7 1 -|galley3 7 1\n";
        for garbage in garbage.split(|&byte| byte == b'|') {
            assert_eq!(Heartbeat::decode(garbage), None, "{garbage:?}");
        }
    }
}
