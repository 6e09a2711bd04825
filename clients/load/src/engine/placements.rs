//! Places orders over sockets or REST, each at its due time or as fast as answers come.
//!
//! A connection that may place holds credits. An order takes one and returns it with its answer. An
//! order that is due while there is no credit waits, and this wait is part of its latency.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use rand::RngExt as _;

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
    in_flight: HashMap<u64, PendingPlacement>,
    next_number: u64,
    heroes: HashMap<i64, usize>,
}

#[derive(Clone, Copy, Debug)]
struct PendingPlacement {
    index: usize,
    hero: usize,
    due: u64,
}

impl Placements {
    pub fn of(plan: &Plan) -> Self {
        let over_rest = plan.rest.is_some();
        let open = plan
            .rest
            .unwrap_or_else(|| plan.sockets * plan.ordering / plan.heroes.len().max(1))
            .max(1);
        let (closed, placers, credits_of_each) = match plan.pace {
            Some(PlacingPace::Closed { placers, in_flight }) => (true, placers, in_flight),
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
            next_number: 1,
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
        self.in_flight.is_empty()
    }

    pub fn waits_on_rest(&self, index: usize) -> bool {
        self.in_flight.contains_key(&rest_number(index))
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

    /// Counts the unanswered orders of a closed connection.
    pub fn abandon(&mut self, index: usize, counts: &mut Counts) {
        if self.in_flight.is_empty() {
            return;
        }
        let before = self.in_flight.len();
        self.in_flight.retain(|_, placement| placement.index != index);
        counts.unanswered += (before - self.in_flight.len()) as u64;
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
                ConnectionRole::Staff { .. } | ConnectionRole::Hero { slow: true, .. } => false,
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
            if connection.generation == generation && connection.is_open() {
                let due = self.placing.waiting.pop_front().unwrap_or_else(|| self.now());
                self.place(index, due);
            }
        }
    }

    fn place(&mut self, index: usize, due: u64) {
        let meal = self.plan.meals[self.random.random_range(0..self.plan.meals.len())];
        let late = self.now().saturating_sub(due);
        self.measures.record(Latency::Late, late);
        self.measures.counts.placed += 1;
        if let ConnectionRole::Hero { hero, .. } = self.connections[index].role {
            let number = self.placing.next_number;
            self.placing.next_number += 1;
            self.placing
                .in_flight
                .insert(number, PendingPlacement { index, hero: hero as usize, due });
            return self.say(
                index,
                format!(r#"{{"type":"place","id":{number},"meal_id":{meal}}}"#).as_bytes(),
            );
        }
        let hero = self.random.random_range(0..self.plan.ordering);
        self.placing.in_flight.insert(rest_number(index), PendingPlacement { index, hero, due });
        let body = format!(r#"{{"hero_id":{},"meal_id":{meal}}}"#, self.plan.heroes[hero]);
        let host = &self.plan.hosts[index % self.plan.hosts.len()];
        let request = format!(
            "POST {}/orders HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{body}",
            self.plan.path,
            body.len(),
            self.authorization(ConnectionRole::Rest)
        );
        if let Err(error) = self.connections[index].write(request.as_bytes()) {
            self.end(index, &super::connecting::say(&error));
        }
    }

    /// Handles a `reply` frame.
    pub(super) fn accepted(&mut self, frame: &ReceivedFrame<'_>) {
        let Some(placement) =
            frame.number().and_then(|number| self.placing.in_flight.remove(&number))
        else {
            return;
        };
        match &frame.order {
            Some(order) => self.order_accepted(placement, order.id),
            None => self.order_refused(placement, "a reply without an order", None),
        }
    }

    /// Handles an `error` frame.
    pub(super) fn refused(&mut self, frame: &ReceivedFrame<'_>) {
        let why =
            frame.problem.as_ref().map_or("an error without a problem", |problem| problem.slug());
        let retry = frame.problem.as_ref().and_then(|problem| problem.retry_after_ms);
        match frame.number().and_then(|number| self.placing.in_flight.remove(&number)) {
            Some(placement) => self.order_refused(placement, why, retry),
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
        let placement = self
            .placing
            .in_flight
            .remove(&rest_number(index))
            .ok_or("an answer that nobody asked for")?;
        match serde_json::from_slice::<received_frame::ReceivedState>(whole.body) {
            Ok(order) if whole.status == 202 => self.order_accepted(placement, order.id),
            Ok(_) | Err(_) => {
                let problem: Option<received_frame::ProblemFrame<'_>> =
                    serde_json::from_slice(whole.body).ok();
                let retry = problem.and_then(|problem| problem.retry_after_ms);
                self.order_refused(placement, &refusal(whole.status, whole.body), retry);
            }
        }
        Ok(())
    }

    fn order_accepted(&mut self, placement: PendingPlacement, id: i64) {
        let PendingPlacement { index, hero, due } = placement;
        let waited = self.now() - due;
        self.measures.record(Latency::Ack, waited);
        self.measures.counts.acked += 1;
        let end = self.tracker.accept(id, hero, due, &mut self.measures.counts);
        self.end_seen(end);
        self.placing.give_back(index, self.connections[index].generation);
    }

    fn order_refused(
        &mut self,
        placement: PendingPlacement,
        why: &str,
        retry_after_ms: Option<u64>,
    ) {
        self.measures.counts.refused += 1;
        self.measures.error(why);
        let pause = retry_after_ms.map_or(PAUSE, |millis| millis * 1_000);
        let credit = Timer::Credit(placement.index, self.connections[placement.index].generation);
        self.timers.push(Reverse((self.now() + pause, credit)));
    }
}

/// The key of a REST connection's order in `in_flight`. The highest bit keeps it apart from the
/// numbers of commands.
const fn rest_number(index: usize) -> u64 {
    1 << 63 | index as u64
}
