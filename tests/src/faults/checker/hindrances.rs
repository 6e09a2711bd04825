//! The times in which faults keep a gateway from sending changes to its clients.
//!
//! Faults of workers or of the other gateway do not count: if a process cannot publish its change,
//! the others find it in the database.

use std::time::Duration;

use super::Case;
use crate::faults::action::{Action, Component, Mischief, Obstacle, ServerLink};
use crate::faults::record::RecordedEvent;

/// The time within which a cluster replaces a silent node, and its clients find the new one.
const FAILOVER: Duration = Duration::from_secs(12);
/// The longest wait for a lock, behind the earlier locks; later statements wait behind it.
const LOCK_QUEUE: Duration = Duration::from_secs(10);

/// The faults that end with another action; the others end at once, or by themselves.
const ENDS: [(Action, Action); 4] = [
    (Action::KillRedis, Action::StartRedis),
    (Action::CrashPostgres, Action::StartPostgres),
    (Action::FillDisk, Action::EmptyDisk),
    (Action::TakeConnections, Action::ReturnConnections),
];

/// The gateways that a fault hinders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    One(usize),
    All,
}

/// A period in which gateways are hindered, in microseconds.
struct Hindrance {
    scope: Scope,
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
            let RecordedEvent::Fault { action } = &entry.event else { continue };
            let Some(scope) = scope(*action) else { continue };
            let from = entry.at_us;
            let until = if let Some(time) = lasts(*action) {
                from + micros(time)
            } else {
                let is_end = |event: &RecordedEvent| {
                    matches!(event, RecordedEvent::Mended)
                        || matches!(event, RecordedEvent::Done { action: later, .. }
                            if ends(*action, *later))
                };
                let over = case.entries[at..].iter().find(|later| is_end(&later.event));
                let longest = longest(*action).map_or(u64::MAX, |time| from + micros(time));
                over.map_or(end, |entry| entry.at_us).min(longest)
            };
            hindrances.push(Hindrance { scope, from, until });
        }
        hindrances.sort_unstable_by_key(|hindrance| hindrance.from);
        Self(hindrances)
    }

    /// The longest time without a hindrance of this gateway between two moments.
    pub(super) fn longest_calm(&self, gateway: usize, from: u64, until: u64) -> Duration {
        let (mut calm, mut longest) = (from, 0);
        let own = |hindrance: &&Hindrance| {
            matches!(hindrance.scope, Scope::All) || hindrance.scope == Scope::One(gateway)
        };
        for hindrance in self
            .0
            .iter()
            .filter(own)
            .filter(|hindrance| hindrance.until > from && hindrance.from < until)
        {
            longest = longest.max(hindrance.from.saturating_sub(calm));
            calm = calm.max(hindrance.until);
        }
        Duration::from_micros(longest.max(until.saturating_sub(calm)))
    }
}

/// The gateways that are hindered by a fault.
fn scope(action: Action) -> Option<Scope> {
    if let Action::Pause(Component::Gateway(gateway))
    | Action::Slow(ServerLink::Of(Component::Gateway(gateway), _), _)
    | Action::Mute(ServerLink::Of(Component::Gateway(gateway), _))
    | Action::Stall(ServerLink::Of(Component::Gateway(gateway), _)) = action
    {
        return Some(Scope::One(gateway));
    }
    let hinders_all = matches!(
        action,
        Action::Pause(Component::Node(_) | Component::Pooler)
            | Action::Kill(Component::Node(_) | Component::Pooler)
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
            | Action::FillDisk
    );
    hinders_all.then_some(Scope::All)
}

/// Returns true if the later action ends the earlier one.
fn ends(earlier: Action, later: Action) -> bool {
    if let Action::Pause(part) | Action::Kill(part) = earlier {
        return [Action::Start(part), Action::Continue(part), Action::Kill(part)].contains(&later);
    }
    if let Action::Slow(link, _) | Action::Mute(link) | Action::Stall(link) = earlier {
        return later == Action::Free(link);
    }
    let end = ENDS.iter().find(|(begin, _)| *begin == earlier);
    later == end.map_or(earlier, |(_, end)| *end)
}

/// The time after which a fault ends by itself.
fn lasts(action: Action) -> Option<Duration> {
    if let Action::Meddle(Mischief::Hold(time)) | Action::MeddleWith(_, Mischief::Hold(time)) =
        action
    {
        return Some(time);
    }
    if let Action::Obstruct(Obstacle::LockTable(time)) = action {
        Some(time + LOCK_QUEUE)
    } else {
        None
    }
}

/// The time for which a fault counts as a hindrance at most.
fn longest(action: Action) -> Option<Duration> {
    matches!(action, Action::Pause(Component::Node(_)) | Action::Kill(Component::Node(_)))
        .then_some(FAILOVER)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
