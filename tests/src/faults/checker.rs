//! Holds a record against the database: which promises were broken.
//!
//! A pure function, called at the end of a round when nothing changes any more. Every rule stands
//! in the module of its kind, and has a test that plants its violation. Never weaken a rule to
//! pass: what it finds is a defect of the service, or of the rule.

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
    /// One request or key places at most one order, and no order comes from nowhere.
    PlacedOnce,
    /// A cancel or a deletion that was answered with success is in the database.
    EffectKept,
    /// A cancel that was answered with success is never followed by `COMPLETED`.
    CancelWins,
    /// Versions rise by one, along the life cycle, to one end.
    LifeCycle,
    /// One version of an order is the same for everybody.
    OneState,
    /// Nobody is shown what the database does not have.
    Committed,
    /// A read shows at least what anybody was shown before it.
    NoWayBack,
    /// A meal that its hero may not eat is never prepared to the end.
    Allergy,
    /// An order that exists is found by its hero, and an end is refused for a reason.
    Truthful,
    /// Every answer is one that the interface knows.
    KnownAnswer,
    /// A cursor leads on from where it was given out.
    Resumes,
    /// A listener knows in the end what the database knows.
    NothingMissed,
    /// A socket, a stream or a feed is never shown an older state of an order after a newer one.
    InOrder,
    /// A change is told soon after its commit, at every gateway that is not hindered itself.
    InTime,
    /// A feed tells every change that came while it was watched.
    FeedComplete,
    /// A browser is never refused in a way that it takes for final.
    NobodyLost,
    /// Soon after the last fault no order is open, and everybody knows everything.
    ComesToRest,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.rule, self.what)
    }
}

/// Every violation.
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

/// The evidence, in order.
struct Case<'a> {
    entries: &'a [Entry],
    scene: Scene,
    stored: HashMap<i64, &'a StoredOrder>,
    /// By rising number.
    requests: Vec<Request<'a>>,
}

/// A request with its answer.
struct Request<'a> {
    hero: i64,
    deed: &'a Deed,
    /// The index of its entry, before it was sent.
    asked: usize,
    /// The index of its entry, and the answer; nothing when the round ended before.
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

    /// The order that it placed, as the answer says.
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
