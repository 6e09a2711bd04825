//! Requests: which one is next, their form over a socket and over REST, and their repetition after
//! an answer was cut off.

use std::collections::VecDeque;
use std::fmt::Write as _;

use rand::RngExt as _;

use super::Engine;
use super::connection::ConnectionRole;
use crate::action_mix::ActionKind;
use crate::measures::Latency;

/// Maximum orders of one hero that are remembered for later requests, open ones and ended ones.
const MAX_RECENT: usize = 64;

/// A request without an answer.
#[derive(Clone, Copy, Debug)]
pub struct PendingRequest {
    /// The connection that it was sent on.
    pub index: usize,
    pub hero: usize,
    pub due: u64,
    pub asked: Asked,
}

/// The subject of a request. Orders are named by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Place {
        meal: i64,
        /// The part of the idempotency key that is its own.
        key: u64,
    },
    Cancel(i64),
    Delete(i64),
    Read(i64),
}

/// The newest orders of a hero, for requests about them.
#[derive(Debug, Default)]
pub struct RecentOrders {
    open: VecDeque<i64>,
    ended: VecDeque<i64>,
}

impl RecentOrders {
    pub fn accepted(&mut self, order: i64) {
        push(&mut self.open, order);
    }

    pub fn ended(&mut self, order: i64) {
        self.open.retain(|open| *open != order);
        push(&mut self.ended, order);
    }
}

fn push(orders: &mut VecDeque<i64>, order: i64) {
    if orders.len() == MAX_RECENT {
        orders.pop_front();
    }
    orders.push_back(order);
}

impl Engine {
    /// Makes the next request on this connection.
    pub(super) fn make_request(&mut self, index: usize, due: u64) {
        let late = self.now().saturating_sub(due);
        self.measures.record(Latency::Late, late);
        let hero = match self.connections[index].role {
            ConnectionRole::Hero { hero, .. } => hero as usize,
            ConnectionRole::Staff { .. } | ConnectionRole::Rest => {
                self.random.random_range(0..self.plan.ordering)
            }
        };
        let asked = self.choose(hero);
        self.measures.counts.placed += u64::from(matches!(asked, Asked::Place { .. }));
        self.ask(PendingRequest { index, hero, due, asked });
    }

    /// Repeats the requests of this connection whose answers were cut off. Returns false if there
    /// are none.
    pub(super) fn ask_again(&mut self, index: usize) -> bool {
        let cut_off = self.placing.cut_off.remove(&index).unwrap_or_default();
        for request in &cut_off {
            self.ask(*request);
        }
        !cut_off.is_empty()
    }

    fn choose(&mut self, hero: usize) -> Asked {
        let about_an_order = self.plan.mix.and_then(|mix| {
            let recent = self.placing.recent.get_mut(hero)?;
            match mix.choose(&mut self.random) {
                ActionKind::Place => None,
                ActionKind::Cancel => recent.open.pop_back().map(Asked::Cancel),
                ActionKind::Read => {
                    recent.open.back().or(recent.ended.back()).copied().map(Asked::Read)
                }
                ActionKind::Delete => {
                    let order = recent.ended.pop_front()?;
                    if self.tracker.release(order, &mut self.measures.counts) {
                        return Some(Asked::Delete(order));
                    }
                    recent.ended.push_back(order);
                    None
                }
            }
        });
        about_an_order.unwrap_or_else(|| {
            self.placing.next_key += 1;
            let meal = self.plan.meals[self.random.random_range(0..self.plan.meals.len())];
            Asked::Place { meal, key: self.placing.next_key }
        })
    }

    fn ask(&mut self, request: PendingRequest) {
        if matches!(self.connections[request.index].role, ConnectionRole::Hero { .. }) {
            let number = self.placing.expect(request);
            let command = self.command(number, request.asked);
            return self.say(request.index, command.as_bytes());
        }
        self.placing.in_flight.insert(rest_number(request.index), request);
        let text = self.rest_request(&request);
        if let Err(error) = self.connections[request.index].write(text.as_bytes()) {
            self.end(request.index, &super::connecting::say(&error));
        }
    }

    fn command(&self, number: u64, asked: Asked) -> String {
        let (name, order) = match asked {
            Asked::Place { meal, key } => {
                let mut text = format!(r#"{{"type":"place","id":{number},"meal_id":{meal}"#);
                if self.plan.keys {
                    write!(text, r#","key":"{}""#, self.key(key)).expect("memory takes it");
                }
                return text + "}";
            }
            Asked::Cancel(order) => ("cancel", order),
            Asked::Delete(order) => ("delete", order),
            Asked::Read(order) => ("get", order),
        };
        format!(r#"{{"type":"{name}","id":{number},"order_id":{order}}}"#)
    }

    fn rest_request(&self, request: &PendingRequest) -> String {
        let (method, path, body, key) = match request.asked {
            Asked::Place { meal, key } => {
                let hero = self.plan.heroes[request.hero];
                let body = format!(r#"{{"hero_id":{hero},"meal_id":{meal}}}"#);
                let key = format!("Idempotency-Key: {}\r\n", self.key(key));
                ("POST", String::new(), body, if self.plan.keys { key } else { String::new() })
            }
            Asked::Cancel(order) => {
                ("POST", format!("/{order}/cancel"), "{}".to_owned(), String::new())
            }
            Asked::Delete(order) => ("DELETE", format!("/{order}"), String::new(), String::new()),
            Asked::Read(order) => ("GET", format!("/{order}"), String::new(), String::new()),
        };
        let host = &self.plan.hosts[request.index % self.plan.hosts.len()];
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let (base, length) = (&self.plan.path, body.len());
        let token = self.authorization(ConnectionRole::Rest);
        format!(
            "{method} {base}/orders{path} HTTP/1.1\r\nHost: {host}\r\n{kind}Content-Length: {length}\r\n{key}{token}\r\n{body}"
        )
    }

    fn key(&self, number: u64) -> String {
        format!("load-{:x}-{}-{number}", self.plan.run, self.plan.number)
    }
}

/// The key of a REST connection's request in `in_flight`. The highest bit keeps it apart from the
/// numbers of commands.
pub const fn rest_number(index: usize) -> u64 {
    1 << 63 | index as u64
}
