//! The requests that are due and those without an answer, over sockets or REST.
//!
//! A connection that may place holds credits. A request takes one and returns it with its answer. A
//! request that is due while there is no credit waits, and this wait is part of its latency.

use std::collections::{HashMap, VecDeque};

use super::asking::{PendingRequest, RecentOrders, rest_number};
use super::connection::ConnectionRole;
use super::schedule::Schedule;
use super::{Engine, Phase};
use crate::measures::Counts;
use crate::plan::{PlacingPace, Plan};

/// Maximum orders that are due and wait for a credit; further ones are never sent and counted as
/// unsent.
const MAX_WAITING: usize = 100_000;
/// Intended maximum of unanswered orders of one engine in an open model, shared among its sockets;
/// each has at least two credits.
const MAX_IN_FLIGHT: usize = 16_384;
/// Maximum unanswered orders of one socket, well below the number at which a gateway stops reading.
const MOST_OF_ONE: usize = 64;

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
}
