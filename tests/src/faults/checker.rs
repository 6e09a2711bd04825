//! Compares a record with the database and finds broken promises.
//!
//! A pure function, called at the end of a round when nothing changes any more. Each rule is in the
//! module of its kind, and has a test that plants a violation. Never weaken a rule to pass: a
//! violation is a defect of the service, or of the rule.

mod answers;
mod calm;
mod ending;
mod feeds;
mod hindrances;
mod history;
mod in_order;
mod in_time;
mod pictures;
mod placing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::record::{Answer, Deed, Entry, Event, Scene};
use super::stored::StoredOrder;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
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
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The details.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.rule, self.what)
    }
}

/// Returns all violations; `rest` is the limit of the rules about time.
#[must_use]
pub fn check(entries: &[Entry], stored: &[StoredOrder], rest: Duration) -> Vec<Violation> {
    let case = Case::new(entries, stored);
    let mut violations = Violations(Vec::new());
    placing::check(&case, &mut violations);
    ending::check(&case, &mut violations);
    history::check(&case, &mut violations);
    answers::check(&case, &mut violations);
    pictures::check(&case, &mut violations);
    in_order::check(&case, &mut violations);
    in_time::check(&case, rest, &mut violations);
    feeds::check(&case, &mut violations);
    calm::check(&case, rest, &mut violations);
    violations.0
}

/// The violations found so far.
struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, rule: Rule, what: String) {
        self.0.push(Violation { rule, what });
    }
}

/// The evidence, sorted for the rules.
struct Case<'a> {
    entries: &'a [Entry],
    scene: Scene,
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
    answered: Option<(usize, &'a Answer)>,
}

impl<'a> Case<'a> {
    fn new(entries: &'a [Entry], stored: &'a [StoredOrder]) -> Self {
        let mut scene = Scene::default();
        let mut requests: Vec<Request<'_>> = Vec::new();
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            match &entry.event {
                Event::Scene(set) => scene = set.clone(),
                Event::Asked { request, hero, deed, .. } => {
                    numbers.insert(*request, requests.len());
                    requests.push(Request { hero: *hero, deed, asked: at, answered: None });
                }
                Event::Answered { request, answer } => {
                    if let Some(request) = numbers.get(request) {
                        requests[*request].answered = Some((at, answer));
                    }
                }
                Event::Opening { .. }
                | Event::Heard { .. }
                | Event::Ended { .. }
                | Event::Lost { .. }
                | Event::Changed { .. }
                | Event::Fault { .. }
                | Event::Done { .. }
                | Event::Mended
                | Event::Quiet => {}
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
            Some((_, Answer::Told { status, body })) => Some((*status, body)),
            Some((_, Answer::Unknown(_))) | None => None,
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
