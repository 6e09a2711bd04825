//! The times in which a gateway cannot tell its clients of changes, through no fault of its own.
//!
//! What is done to workers, or to the other gateway, is none: a change that its process cannot publish is found in the
//! database by the others.

use std::time::Duration;

use super::Case;
use crate::faults::action::{Action, Link, Mischief, Obstacle, Part};
use crate::faults::record::Event;

/// A cluster replaces a silent node within this time, and its clients find the new one.
const FAILOVER: Duration = Duration::from_secs(12);
/// A lock waits for the locks before it, which last as long at most; whoever comes later waits behind it.
const LOCK_QUEUE: Duration = Duration::from_secs(10);

/// A time in microseconds, and the gateway that is hindered; all of them when there is none.
struct Hindrance {
    gateway: Option<usize>,
    from: u64,
    until: u64,
}

/// The hindrances of a round.
pub(super) struct Hindrances(Vec<Hindrance>);

impl Hindrances {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let end = case.entries.last().map_or(0, |entry| entry.at_us);
        let mut hindrances = Vec::new();
        for (at, entry) in case.entries.iter().enumerate() {
            let Event::Fault { action } = &entry.event else { continue };
            let Some(gateway) = hindered(*action) else { continue };
            let mut over = case.entries[at..].iter().filter(|later| match &later.event {
                Event::Done { action: later, .. } => ends(*action, *later),
                Event::Mended => true,
                _ => false,
            });
            let until = over.next().map_or(end, |entry| entry.at_us);
            let longest = longest(*action).map_or(u64::MAX, |longest| entry.at_us + micros(longest));
            let until = if lasts(*action).is_some() { longest } else { until.min(longest) };
            hindrances.push(Hindrance { gateway, from: entry.at_us, until });
        }
        Self(hindrances)
    }

    /// The longest time between two moments in which this gateway was not hindered.
    pub(super) fn longest_calm(&self, gateway: usize, from: u64, until: u64) -> Duration {
        let own = |hindrance: &&Hindrance| hindrance.gateway.is_none_or(|of| of == gateway);
        let mut own: Vec<&Hindrance> = self.0.iter().filter(own).filter(|of| of.until > from && of.from < until).collect();
        own.sort_unstable_by_key(|hindrance| hindrance.from);
        let (mut calm, mut longest) = (from, 0);
        for hindrance in own {
            longest = longest.max(hindrance.from.saturating_sub(calm));
            calm = calm.max(hindrance.until);
        }
        Duration::from_micros(longest.max(until.saturating_sub(calm)))
    }
}

/// The gateway that is hindered from now on; `Some(None)` when all are.
fn hindered(action: Action) -> Option<Option<usize>> {
    match action {
        Action::Pause(Part::Gateway(gateway))
        | Action::Slow(Link::Of(Part::Gateway(gateway), _), _)
        | Action::Mute(Link::Of(Part::Gateway(gateway), _))
        | Action::Stall(Link::Of(Part::Gateway(gateway), _)) => Some(Some(gateway)),
        Action::Pause(Part::Node(_) | Part::Pooler)
        | Action::Kill(Part::Node(_) | Part::Pooler)
        | Action::KillRedis
        | Action::Meddle(Mischief::Hold(_))
        | Action::MeddleWith(_, Mischief::Hold(_))
        | Action::DemoteRedis { .. }
        | Action::FailOver(_)
        | Action::Reshard(_)
        | Action::CrashPostgres
        | Action::Obstruct(Obstacle::LockTable(_))
        | Action::TakeConnections
        | Action::Promote
        | Action::FillDisk => Some(None),
        _ => None,
    }
}

/// Whether the later deed mends the earlier one.
fn ends(earlier: Action, later: Action) -> bool {
    match earlier {
        Action::Pause(part) | Action::Kill(part) => {
            matches!(later, Action::Start(of) | Action::Continue(of) | Action::Kill(of) if of == part)
        }
        Action::Slow(link, _) | Action::Mute(link) | Action::Stall(link) => later == Action::Free(link),
        Action::KillRedis => later == Action::StartRedis,
        Action::CrashPostgres => later == Action::StartPostgres,
        Action::FillDisk => later == Action::EmptyDisk,
        Action::TakeConnections => later == Action::ReturnConnections,
        // At once.
        _ => later == earlier,
    }
}

/// The time after which a fault ends by itself.
fn lasts(action: Action) -> Option<Duration> {
    match action {
        Action::Meddle(Mischief::Hold(time)) | Action::MeddleWith(_, Mischief::Hold(time)) => Some(time),
        Action::Obstruct(Obstacle::LockTable(time)) => Some(time + LOCK_QUEUE),
        _ => None,
    }
}

/// The time for which a fault counts as a hindrance at most.
fn longest(action: Action) -> Option<Duration> {
    match action {
        Action::Pause(Part::Node(_)) | Action::Kill(Part::Node(_)) | Action::FailOver(_) => Some(FAILOVER),
        _ => lasts(action),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
