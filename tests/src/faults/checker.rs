//! Compares a record with the database and finds broken promises.
//!
//! A pure function, called at the end of a round when nothing changes any more. Each rule is in the
//! module of its kind, and has a test that plants a violation. Never weaken a rule to pass: a
//! violation is a defect of the service, or of the rule.

mod answers;
mod calm;
#[cfg(test)]
mod checker_tests;
mod feeds;
mod hindrances;
mod history;
mod in_time;
mod nothing_missed;
mod order_ends;
mod placed_once;
mod rising_versions;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::record::{Cast, ClientAnswer, Deed, RecordEntry, RecordedEvent};
use super::stored::StoredOrder;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckedRule {
    /// An accepted order exists.
    Durable,
    /// One request or key places at most one order, and every order was requested.
    PlacedOnce,
    /// A cancel or a deletion that was answered with success is in the database.
    EffectKept,
    /// A cancel that was answered with success is never followed by `COMPLETED`.
    CancelWins,
    /// Versions rise by one, along the life cycle, to one end.
    LifeCycle,
    /// All clients see the same state in one version of an order.
    OneState,
    /// Every state shown is in the database.
    Committed,
    /// A read shows at least the versions that any client saw before it.
    NoWayBack,
    /// A meal that its hero may not eat is never prepared to the end.
    Allergy,
    /// A hero finds its existing orders, and a cancel or delete is only refused for a reason.
    Truthful,
    /// Every answer is documented.
    KnownAnswer,
    /// A cursor resumes from where it was given out.
    Resumes,
    /// In the end a listener knows the same as the database.
    NothingMissed,
    /// A socket, a stream or a feed is never shown an older state of an order after a newer one.
    InOrder,
    /// A change is sent soon after its commit by every gateway that has no fault itself.
    InTime,
    /// A feed contains every change during its watch.
    FeedComplete,
    /// A browser is never refused in a way that it takes for final.
    NobodyLost,
    /// Soon after the last fault no order is open, and all clients are up to date.
    ComesToRest,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule.
    pub rule: CheckedRule,
    /// The details.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.rule, self.what)
    }
}

/// Returns all violations; `rest` is the limit of the rules about time.
#[must_use]
pub fn check(entries: &[RecordEntry], stored: &[StoredOrder], rest: Duration) -> Vec<Breach> {
    let case = Case::new(entries, stored);
    let mut violations = Breaches(Vec::new());
    placed_once::check(&case, &mut violations);
    order_ends::check(&case, &mut violations);
    history::check(&case, &mut violations);
    answers::check(&case, &mut violations);
    nothing_missed::check(&case, &mut violations);
    rising_versions::check(&case, &mut violations);
    in_time::check(&case, rest, &mut violations);
    feeds::check(&case, &mut violations);
    calm::check(&case, rest, &mut violations);
    violations.0
}

/// The violations found so far.
struct Breaches(Vec<Breach>);

impl Breaches {
    fn add(&mut self, rule: CheckedRule, what: String) {
        self.0.push(Breach { rule, what });
    }
}

/// The evidence, sorted for the rules.
struct Case<'a> {
    entries: &'a [RecordEntry],
    scene: Cast,
    stored: HashMap<i64, &'a StoredOrder>,
    /// The requests, by ascending number.
    requests: Vec<Request<'a>>,
}

/// A request with its answer.
struct Request<'a> {
    hero: i64,
    deed: &'a Deed,
    /// The index of the entry of the request, noted before it was sent.
    asked: usize,
    /// The index of the entry of the answer, and the answer; `None` if the round ended before.
    answered: Option<(usize, &'a ClientAnswer)>,
}

impl<'a> Case<'a> {
    fn new(entries: &'a [RecordEntry], stored: &'a [StoredOrder]) -> Self {
        let mut scene = Cast::default();
        let mut requests: Vec<Request<'_>> = Vec::new();
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if let RecordedEvent::Scene(set) = &entry.event {
                scene = set.clone();
            } else if let RecordedEvent::Asked { request, hero, deed, .. } = &entry.event {
                numbers.insert(*request, requests.len());
                requests.push(Request { hero: *hero, deed, asked: at, answered: None });
            } else if let RecordedEvent::Answered { request, answer } = &entry.event
                && let Some(request) = numbers.get(request)
            {
                requests[*request].answered = Some((at, answer));
            }
        }
        Self {
            entries,
            scene,
            stored: stored.iter().map(|order| (order.id, order)).collect(),
            requests,
        }
    }

    /// The orders of a hero.
    fn stored_of(&self, hero: i64) -> Vec<&'a StoredOrder> {
        self.stored.values().copied().filter(|order| order.hero == hero).collect()
    }
}

impl<'a> Request<'a> {
    /// The status and the body of its answer.
    fn told(&self) -> Option<(u16, &'a serde_json::Value)> {
        match self.answered {
            Some((_, ClientAnswer::Told { status, body })) => Some((*status, body)),
            Some((_, ClientAnswer::Unknown(_))) | None => None,
        }
    }

    /// The order that it placed, according to the answer.
    fn placed(&self) -> Option<i64> {
        match (self.deed, self.told()) {
            (Deed::Place { .. }, Some((200 | 202, body))) => {
                let order = if body["order"].is_object() { &body["order"] } else { body };
                Some(order["id"].as_i64().unwrap_or_default())
            }
            _ => None,
        }
    }
}
