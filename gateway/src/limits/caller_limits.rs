//! The limits on one caller, over all its connections: commands, bytes that are stored, and reads.

use std::sync::Arc;
use std::time::Duration;

use galley_protocol::{Problem, ProblemType, Sentence};

use super::meters::Meters;
use super::rate::{MAX_COUNT, RateVerdict};
use super::{ByteRate, CallerKey, RateLimit, ReadTurns, UnreadAnswers, count};

/// The bytes of a request that cost nothing: an order with a key of common length is free.
const FREE: usize = 128;
/// The most sockets and event streams of one caller that read their snapshot, or what they have
/// missed, at once.
const SNAPSHOTS: usize = 4;
/// The refused commands of one caller, and those that are answered without a pause. The burst
/// answers whoever sends thousands at once by mistake.
const REFUSALS: RateLimit = RateLimit::each_second(200, 20_000);
const REFUSALS_AT_ONCE: RateLimit = RateLimit::each_second(2_000, 1_000);
/// The traces that a caller may demand. Beyond them its requests are not recorded.
const TRACES: RateLimit = RateLimit::each_second(10, 100);
/// The sockets and event streams that a hero opens at once after an idle time, at least, and as a
/// multiple of those that it may hold; a tenth of them each second.
const OPENED: (usize, usize) = (256, 4);
/// Without authentication anybody may read as any hero, and a proxy may be the address of many.
const WITHOUT_TOKENS: usize = 16;

#[derive(Debug)]
pub struct CallerLimits {
    commands: Meters<CallerKey>,
    writes: Meters<CallerKey>,
    opened: Meters<CallerKey>,
    refusals: Meters<CallerKey>,
    refusals_at_once: Meters<CallerKey>,
    traces: Meters<CallerKey>,
    pub reads: Arc<ReadTurns>,
    pub snapshots: Arc<ReadTurns>,
    pub unread: Arc<UnreadAnswers>,
}

impl CallerLimits {
    /// `most_sockets` of a hero are open at once. `connections` is the number of reads that the store
    /// runs at once; a caller gets half.
    #[must_use]
    pub fn new(
        (commands, ByteRate(writes)): (RateLimit, ByteRate),
        most_sockets: usize,
        most_reads: usize,
        connections: usize,
        with_tokens: bool,
    ) -> Self {
        let most = if with_tokens { most_reads } else { most_reads.saturating_mul(WITHOUT_TOKENS) };
        let unread = Arc::<UnreadAnswers>::default();
        Self {
            commands: Meters::new(commands),
            writes: Meters::new(writes),
            opened: Meters::new(opened(most_sockets)),
            refusals: Meters::new(REFUSALS),
            refusals_at_once: Meters::new(REFUSALS_AT_ONCE),
            traces: Meters::new(TRACES),
            reads: ReadTurns::new(connections.div_ceil(2), most, &unread),
            // The sockets of a hero bound the number of those that wait.
            snapshots: ReadTurns::new(SNAPSHOTS, usize::MAX, &unread),
            unread,
        }
    }

    /// Charges one command.
    ///
    /// # Errors
    /// `rate-limited`
    pub fn command(&self, key: CallerKey) -> Result<(), Problem> {
        within(self.commands.take(key, 1), "commands", Sentence::TooManyCommands)
    }

    /// Charges a socket or an event stream that a hero opens: its welcome is read from the database.
    /// Other callers pay nothing, for theirs is not.
    ///
    /// # Errors
    /// `rate-limited`
    pub fn open(&self, key: CallerKey) -> Result<(), Problem> {
        if !matches!(key, CallerKey::Hero(_)) {
            return Ok(());
        }
        within(self.opened.take(key, 1), "sockets-opened", Sentence::TooManyOpenings)
    }

    /// Counts a refused command of this caller, on whichever of its sockets.
    pub fn refusal(&self, key: CallerKey) -> RefusalVerdict {
        let is_within =
            |meters: &Meters<_>| matches!(meters.take(key, 1), RateVerdict::Taken { .. });
        if !is_within(&self.refusals) {
            count("flooding");
            RefusalVerdict::Close
        } else if is_within(&self.refusals_at_once) {
            RefusalVerdict::Answer
        } else {
            RefusalVerdict::Pause
        }
    }

    /// Charges a trace that this caller demands. Returns false if it has had too many.
    pub fn may_demand_trace(&self, key: CallerKey) -> bool {
        matches!(self.traces.take(key, 1), RateVerdict::Taken { .. })
    }

    /// Charges a request of this many bytes whose texts are stored. An address, which anybody may
    /// share, pays nothing.
    ///
    /// # Errors
    /// `rate-limited`
    pub fn write(&self, key: CallerKey, bytes: usize) -> Result<(), Problem> {
        let bytes = u32::try_from(bytes.saturating_sub(FREE)).unwrap_or(u32::MAX);
        if bytes == 0 || matches!(key, CallerKey::Address(_)) {
            return Ok(());
        }
        within(self.writes.take(key, bytes), "writes", Sentence::TooManyTexts)
    }
}

/// The consequence of a refused command for its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalVerdict {
    Answer,
    /// Answer, and read the socket again a little later.
    Pause,
    Close,
}

fn opened(most_sockets: usize) -> RateLimit {
    let (least, times) = OPENED;
    let burst = most_sockets.saturating_mul(times).max(least).min(MAX_COUNT as usize);
    let burst = u32::try_from(burst).unwrap_or(MAX_COUNT);
    RateLimit::each_second(burst / 10, burst)
}

fn within(verdict: RateVerdict, limit: &'static str, detail: Sentence) -> Result<(), Problem> {
    match verdict {
        RateVerdict::Taken { .. } => Ok(()),
        RateVerdict::Wait(wait) => {
            count(limit);
            Err(too_fast(detail, wait))
        }
    }
}

/// Returns the problem of a client that exceeds a rate.
#[must_use]
pub fn too_fast(detail: Sentence, wait: Duration) -> Problem {
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Problem::new(ProblemType::RateLimited).with_detail(detail).with_retry_after(millis)
}

#[cfg(test)]
mod tests {
    use galley_protocol::HeroId;

    use super::{CallerKey, CallerLimits, FREE, REFUSALS, RateLimit, RefusalVerdict};

    #[test]
    fn texts_of_common_length_are_free_and_long_ones_are_paid_by_the_byte() {
        let writes = "1KiB/min burst 1KiB".parse().expect("a rate");
        let limits = CallerLimits::new((RateLimit::UNLIMITED, writes), 64, 1, 1, true);
        let hero = |id| CallerKey::Hero(HeroId::new(id).expect("an id"));
        assert!((0..10_000).all(|_| limits.write(hero(1), FREE).is_ok()));
        assert!(limits.write(hero(1), FREE + 1_000).is_ok());
        let refused = limits.write(hero(1), FREE + 1_000).expect_err("the burst is used");
        assert!(refused.retry_after_ms.is_some_and(|wait| wait > 50_000), "{refused:?}");
        assert!(limits.write(hero(2), FREE + 1_000).is_ok(), "another hero has its own");
    }

    #[test]
    fn refusals_are_answered_then_slowed_down_and_at_last_close() {
        let writes = "unlimited".parse().expect("a rate");
        let limits = CallerLimits::new((RateLimit::UNLIMITED, writes), 64, 1, 1, true);
        let hero = |id| CallerKey::Hero(HeroId::new(id).expect("an id"));
        let mut verdicts: Vec<_> =
            (0..2 * REFUSALS.burst()).map(|_| limits.refusal(hero(1))).collect();
        verdicts.dedup();
        let [answer, pause] = [RefusalVerdict::Answer, RefusalVerdict::Pause];
        assert!(verdicts.starts_with(&[answer, pause]), "{verdicts:?}");
        assert!(verdicts.contains(&RefusalVerdict::Close));
        assert_eq!(limits.refusal(hero(2)), answer, "another hero has its own");
    }

    #[test]
    fn a_hero_opens_many_sockets_at_once_and_then_a_tenth_each_second() {
        let writes = "unlimited".parse().expect("a rate");
        for (most_sockets, burst) in [(64, 256), (10_000, 40_000)] {
            let limits =
                CallerLimits::new((RateLimit::UNLIMITED, writes), most_sockets, 1, 1, true);
            let hero = |id| CallerKey::Hero(HeroId::new(id).expect("an id"));
            assert!((0..burst).all(|_| limits.open(hero(1)).is_ok()));
            let refused = (0..burst).find_map(|_| limits.open(hero(1)).err());
            assert_eq!(refused.map(|problem| problem.status), Some(429));
            assert!(limits.open(hero(2)).is_ok(), "another hero has its own");
        }
    }
}
