//! The requests that are due and those without an answer, over sockets or REST.
//!
//! A connection that may place holds credits. A request takes one and returns it with its answer. A
//! request that is due while there is no credit waits, and this wait is part of its latency.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use super::asking::{Asked, PendingRequest, RecentOrders, rest_number};
use super::connecting::refusal;
use super::connection::{ConnectionRole, SocketState};
use super::received_frame::{self, ReceivedFrame};
use super::schedule::Schedule;
use super::{Engine, Phase, Timer, upgrade};
use crate::measures::{Counts, Latency};
use crate::plan::{PlacingPace, Plan};

/// Maximum orders that are due and wait for a credit; further ones are never sent and counted as
/// unsent.
const MAX_WAITING: usize = 100_000;
/// Intended maximum of unanswered orders of one engine in an open model, shared among its sockets;
/// each has at least two credits.
const MAX_IN_FLIGHT: usize = 16_384;
/// Maximum unanswered orders of one socket, well below the number at which a gateway stops reading.
const MOST_OF_ONE: usize = 64;
/// Pause of a placer after a refusal that does not say when to retry, in microseconds.
const PAUSE: u64 = 100_000;

/// The orders to place and those without an answer yet.
#[derive(Debug)]
pub struct Placements {
    schedule: Option<Schedule>,
    closed: bool,
    over_rest: bool,
    /// The number of sockets that place, and the credits of each.
    placers: usize,
    credits_of_each: usize,
    active: bool,
    /// Start of the load, in microseconds since the engine began.
    pub began: u64,
    /// Due times of orders that wait for a credit.
    waiting: VecDeque<u64>,
    /// The credits: a connection and its generation. The credits of an earlier generation are void.
    credits: VecDeque<(usize, u32)>,
    pub in_flight: HashMap<u64, PendingRequest>,
    /// Requests to repeat, by the connection that lost their answers.
    pub cut_off: HashMap<usize, Vec<PendingRequest>>,
    next_number: u64,
    pub next_key: u64,
    /// The newest orders of each hero that orders; empty if all requests place orders.
    pub recent: Vec<RecentOrders>,
    heroes: HashMap<i64, usize>,
}

impl Placements {
    pub fn of(plan: &Plan) -> Self {
        let over_rest = plan.rest.is_some();
        let open = plan
            .rest
            .unwrap_or_else(|| plan.sockets * plan.ordering / plan.heroes.len().max(1))
            .max(1);
        let (closed, placers, credits_of_each) = match &plan.pace {
            Some(PlacingPace::Closed { placers, in_flight }) => (true, *placers, *in_flight),
            Some(PlacingPace::Open { .. }) | None => {
                (false, usize::MAX, (MAX_IN_FLIGHT / open).clamp(2, MOST_OF_ONE))
            }
        };
        Self {
            schedule: (plan.pace.is_some() || plan.burst.is_some()).then(|| Schedule::of(plan)),
            closed,
            over_rest,
            placers: if over_rest { usize::MAX } else { placers },
            credits_of_each: if over_rest { 1 } else { credits_of_each },
            active: false,
            began: 0,
            waiting: VecDeque::new(),
            credits: VecDeque::new(),
            in_flight: HashMap::new(),
            cut_off: HashMap::new(),
            next_number: 1,
            next_key: 0,
            recent: (0..plan.mix.map_or(0, |_| plan.ordering))
                .map(|_| RecentOrders::default())
                .collect(),
            heroes: plan
                .heroes
                .iter()
                .take(plan.ordering)
                .enumerate()
                .map(|(index, hero)| (*hero, index))
                .collect(),
        }
    }

    /// Returns the index of the hero with this id, if it orders in this engine.
    pub fn hero_with(&self, id: i64) -> Option<usize> {
        self.heroes.get(&id).copied()
    }

    pub fn next_due(&self) -> Option<u64> {
        self.schedule.as_ref().and_then(Schedule::next).map(|moment| moment + self.began)
    }

    pub fn all_answered(&self) -> bool {
        self.in_flight.is_empty() && self.cut_off.is_empty()
    }

    pub fn waits_on_rest(&self, index: usize) -> bool {
        self.in_flight.contains_key(&rest_number(index))
    }

    /// Returns true if a connection waits for an answer.
    pub fn waits_on(&self, index: usize) -> bool {
        self.in_flight.values().any(|request| request.index == index)
            || self.cut_off.contains_key(&index)
    }

    /// Expects the answer to a command; returns its number.
    pub fn expect(&mut self, request: PendingRequest) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.in_flight.insert(number, request);
        number
    }

    pub fn give_back(&mut self, index: usize, generation: u32) {
        self.credits.push_back((index, generation));
    }

    /// Stops placing. Orders that still wait count as unsent.
    pub fn stop(&mut self, counts: &mut Counts) {
        self.active = false;
        counts.unsent += self.waiting.len() as u64;
        self.waiting = VecDeque::new();
    }

    /// Keeps the unanswered requests of a closed connection if they can be repeated, and counts
    /// them otherwise.
    pub fn abandon(&mut self, index: usize, repeats: bool, counts: &mut Counts) {
        if self.in_flight.is_empty() {
            return;
        }
        let lost = self.in_flight.extract_if(|_, request| request.index == index);
        let lost: Vec<_> = lost.map(|(_, request)| request).collect();
        if !repeats {
            counts.unanswered += lost.len() as u64;
        } else if !lost.is_empty() {
            self.cut_off.entry(index).or_default().extend(lost);
        }
    }

    /// Counts the requests that have no answer in the end.
    pub fn finish(&self, counts: &mut Counts) {
        let cut_off: usize = self.cut_off.values().map(Vec::len).sum();
        counts.unanswered += (self.in_flight.len() + cut_off) as u64;
    }
}

impl Engine {
    pub(super) fn begin_placing(&mut self, now: u64) {
        self.placing.began = now;
        self.placing.active = self.placing.schedule.is_some();
        let placers: Vec<_> =
            (0..self.connections.len()).filter(|index| self.may_place(*index)).collect();
        for _ in 0..self.placing.credits_of_each {
            for index in &placers {
                self.placing.credits.push_back((*index, self.connections[*index].generation));
            }
        }
    }

    /// Gives credits to a connection that was opened during the load.
    pub(super) fn give_credits(&mut self, index: usize) {
        if self.placing.active && self.may_place(index) {
            let credit = (index, self.connections[index].generation);
            self.placing.credits.extend(std::iter::repeat_n(credit, self.placing.credits_of_each));
        }
    }

    fn may_place(&self, index: usize) -> bool {
        let connection = &self.connections[index];
        connection.is_open()
            && match connection.role {
                ConnectionRole::Rest => true,
                ConnectionRole::Staff { .. }
                | ConnectionRole::Hero { slow: true, .. }
                | ConnectionRole::Hero { stream: true, .. } => false,
                ConnectionRole::Hero { hero, .. } => {
                    // Position among the sockets of heroes that order: the first `placers` place.
                    let number =
                        index / self.plan.heroes.len() * self.plan.ordering + hero as usize;
                    !self.placing.over_rest
                        && self.tracker.follows(hero as usize)
                        && number < self.placing.placers
                }
            }
    }

    /// Places the orders that are due, as far as there are credits.
    pub(super) fn place_due(&mut self) {
        let Phase::Load { until } = self.phase else { return };
        if !self.placing.active {
            return;
        }
        // Orders due before the end of the load are placed, even if it is over by now.
        let now = self.now().min(until - 1);
        let Placements { schedule, waiting, began, .. } = &mut self.placing;
        if let Some(schedule) = schedule {
            let counts = &mut self.measures.counts;
            schedule.due(now - *began, |moment| {
                if waiting.len() < MAX_WAITING {
                    waiting.push_back(moment + *began);
                } else {
                    counts.unsent += 1;
                }
            });
        }
        while self.placing.closed || !self.placing.waiting.is_empty() {
            // Over REST take the connection used last: `refresh_rest` replaces those that idle.
            let credits = &mut self.placing.credits;
            let credit =
                if self.placing.over_rest { credits.pop_back() } else { credits.pop_front() };
            let Some((index, generation)) = credit else { return };
            let connection = &self.connections[index];
            if connection.generation == generation
                && connection.is_open()
                && !self.is_leaving(index)
            {
                let due = self.placing.waiting.pop_front().unwrap_or_else(|| self.now());
                self.make_request(index, due);
            }
        }
    }

    /// Handles a `reply` frame.
    pub(super) fn accepted(&mut self, frame: &ReceivedFrame<'_>) {
        let Some(request) =
            frame.number().and_then(|number| self.placing.in_flight.remove(&number))
        else {
            return;
        };
        match (request.asked, &frame.order) {
            (Asked::Place { .. }, None) => {
                self.request_refused(request, "a reply without an order", None);
            }
            (_, order) => self.answered(request, order.map(|order| order.id)),
        }
    }

    /// Handles an `error` frame.
    pub(super) fn refused(&mut self, frame: &ReceivedFrame<'_>) {
        let why =
            frame.problem.as_ref().map_or("an error without a problem", |problem| problem.slug());
        let retry = frame.problem.as_ref().and_then(|problem| problem.retry_after_ms);
        match frame.number().and_then(|number| self.placing.in_flight.remove(&number)) {
            Some(request) => self.request_refused(request, why, retry),
            None => self.measures.error(why),
        }
    }

    pub(super) fn take_answer(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let SocketState::Open(so_far) = &mut self.connections[index].state else { return Ok(()) };
        let mut answer = std::mem::take(so_far);
        answer.extend_from_slice(bytes);
        let Some(whole) = upgrade::answer(&answer).map_err(|error| error.to_string())? else {
            *so_far = answer;
            return Ok(());
        };
        self.connections[index].since = self.now();
        let request = self
            .placing
            .in_flight
            .remove(&rest_number(index))
            .ok_or("an answer that nobody asked for")?;
        let order = serde_json::from_slice::<received_frame::ReceivedState>(whole.body);
        let order = order.ok().map(|order| order.id);
        let is_done = match request.asked {
            Asked::Place { .. } => whole.status == 202 && order.is_some(),
            Asked::Cancel(_) | Asked::Delete(_) | Asked::Read(_) => whole.status < 300,
        };
        if is_done {
            self.answered(request, order);
            return Ok(());
        }
        let problem: Option<received_frame::ProblemFrame<'_>> =
            serde_json::from_slice(whole.body).ok();
        let retry = problem.as_ref().and_then(|problem| problem.retry_after_ms);
        if problem.is_some_and(|problem| is_too_late(request.asked, problem.slug())) {
            self.too_late(request);
        } else {
            self.request_refused(request, &refusal(whole.status, whole.body), retry);
        }
        Ok(())
    }

    fn answered(&mut self, request: PendingRequest, order: Option<i64>) {
        let waited = self.now() - request.due;
        let counts = &mut self.measures.counts;
        let latency = match (request.asked, order) {
            (Asked::Place { .. }, Some(id)) => {
                counts.acked += 1;
                let end = self.tracker.accept(id, request.hero, request.due, counts);
                if let Some(recent) = self.placing.recent.get_mut(request.hero) {
                    recent.accepted(id);
                }
                self.end_seen(end);
                Latency::Ack
            }
            (Asked::Place { .. }, None) => return,
            (Asked::Cancel(_), _) => {
                counts.cancelled += 1;
                Latency::Cancel
            }
            (Asked::Delete(_), _) => {
                counts.deleted += 1;
                Latency::Delete
            }
            (Asked::Read(_), _) => {
                counts.read += 1;
                Latency::Read
            }
        };
        self.measures.record(latency, waited);
        self.placing.give_back(request.index, self.connections[request.index].generation);
    }

    /// Handles the answer that an order had ended or was deleted before the request about it.
    fn too_late(&mut self, request: PendingRequest) {
        self.measures.counts.too_late += 1;
        self.placing.give_back(request.index, self.connections[request.index].generation);
    }

    fn request_refused(&mut self, request: PendingRequest, why: &str, retry_after_ms: Option<u64>) {
        if is_too_late(request.asked, why) {
            return self.too_late(request);
        }
        self.measures.counts.refused += 1;
        self.measures.error(why);
        let pause = retry_after_ms.map_or(PAUSE, |millis| millis * 1_000);
        let credit = Timer::Credit(request.index, self.connections[request.index].generation);
        self.timers.push(Reverse((self.now() + pause, credit)));
    }
}

fn is_too_late(asked: Asked, problem: &str) -> bool {
    !matches!(asked, Asked::Place { .. })
        && ["already-finished", "order-not-found"].contains(&problem)
}
