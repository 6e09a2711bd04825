//! A model of the way of an order, checked in every interleaving: two orders, two workers, a
//! gateway, crashes, a worker that is taken for dead while it lives, and a Redis that loses
//! everything.
//!
//! A second model covers the way of a change to a client: see [`hearing`].
//!
//! One step of the model is one statement or one pipeline of the service. A step that waits for a
//! time (the sweep, adopting, taking over a dead worker's entries) may happen at any moment here,
//! so that no property depends on time. Each step uses something up – a version, an entry, an
//! unsent update, a crash – so that no path has a cycle and every path ends.

mod hearing;
mod hearing_state;
mod order;
mod pipeline;

use galley_protocol::Status;
use hearing::{Hearing, Rule};
use hearing_state::{Client, Stage};
use order::{MAX_ADOPTIONS, News};
use pipeline::{Pipeline, State};
use stateright::{Checker as _, Model, Property};

impl Model for Pipeline {
    type State = State;
    type Action = pipeline::Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Self::Action>) {
        state.steps(steps);
    }

    fn next_state(&self, state: &State, step: Self::Action) -> Option<State> {
        Some(state.clone().after(step))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("no order ends twice", |_, state: &State| {
                state.orders.iter().all(|order| order.ends <= 1)
            }),
            Property::always("the version counts the transitions", |_, state: &State| {
                state.orders.iter().all(|order| match order.status {
                    Status::Pending => order.version == 1,
                    Status::InProgress => order.version == 2,
                    Status::Completed => order.version == 3,
                    Status::Cancelled => order.version == 2 || order.version == 3,
                })
            }),
            Property::always("what was cancelled stays so", |_, state: &State| {
                state
                    .orders
                    .iter()
                    .all(|order| !order.cancel_answered || order.status == Status::Cancelled)
            }),
            Property::always("at rest every order has ended", |_, state: &State| {
                !state.is_at_rest()
                    || state.orders.iter().all(|order| !order.is_placed || order.ends == 1)
            }),
            Property::always("at rest every socket knows the newest state", |_, state: &State| {
                !state.is_at_rest() || state.orders.iter().all(|order| order.news == News::Told)
            }),
        ];
        // An order is given up only after it lost two owners.
        if self.crashes + self.deposals > MAX_ADOPTIONS {
            properties.extend([
                Property::sometimes("an order ends as undeliverable", |_, state: &State| {
                    state
                        .orders
                        .iter()
                        .any(|order| order.status == Status::Cancelled && !order.cancel_answered)
                }),
                Property::sometimes("an adopted order is completed", |_, state: &State| {
                    state
                        .orders
                        .iter()
                        .any(|order| order.adoptions > 0 && order.status == Status::Completed)
                }),
            ]);
        }
        properties
    }
}

impl Model for Hearing {
    type State = hearing_state::State;
    type Action = hearing::Step;

    fn init_states(&self) -> Vec<Self::State> {
        vec![Self::State::new(self)]
    }

    fn actions(&self, state: &Self::State, steps: &mut Vec<Self::Action>) {
        steps.extend(self.steps(state).into_iter().map(|(step, _)| step));
    }

    fn next_state(&self, state: &Self::State, step: Self::Action) -> Option<Self::State> {
        self.after(state.clone(), step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(KNOWS_EVERYTHING, |model, state: &hearing_state::State| {
                let is_connected = matches!(state.client, Client::Connected { .. });
                let is_visible = |stage| matches!(stage, Stage::Committed(_) | Stage::Announced(_));
                let is_owed =
                    |change: &&hearing_state::Change| is_visible(change.stage) && !change.is_known;
                !is_connected
                    || !state.changes.iter().any(|change| is_owed(&change))
                    || !model.is_at_rest(state)
            }),
            Property::always(BELOW_THE_WATERMARK, |_, state: &hearing_state::State| {
                state.changes.iter().all(|change| match change.stage {
                    Stage::Waiting => true,
                    Stage::Stamped(number) => number >= state.watermark(),
                    Stage::Committed(number) | Stage::Announced(number) => {
                        number >= state.watermark() || change.is_told
                    }
                })
            }),
            Property::sometimes("a client resumes", |_, state: &hearing_state::State| {
                state.client == Client::Connected { may_leave: false }
            }),
        ]
    }
}

const KNOWS_EVERYTHING: &str =
    "at rest a client that is connected, or has come back, knows every change";
const BELOW_THE_WATERMARK: &str = "whatever lies below the watermark has ended, and was told";

#[test]
fn a_client_misses_nothing_whoever_is_silent() {
    check(Hearing { changes: 2, publishers: 1, silences: 1, deaths: 0, rule: Rule::Census });
}

#[test]
fn a_client_misses_nothing_whoever_dies() {
    check(Hearing { changes: 2, publishers: 1, silences: 0, deaths: 1, rule: Rule::Census });
}

#[test]
fn a_client_misses_nothing_however_late_a_commit_becomes_visible() {
    check(Hearing { changes: 2, publishers: 2, silences: 0, deaths: 0, rule: Rule::Census });
}

#[test]
fn a_client_misses_something_when_a_silent_publisher_is_repaired_for_once() {
    misses(Hearing { changes: 2, publishers: 1, silences: 1, deaths: 0, rule: Rule::RepairOnce });
}

#[test]
fn a_client_misses_something_when_a_dead_publisher_is_forgotten_before_its_last_commit() {
    misses(Hearing { changes: 1, publishers: 1, silences: 0, deaths: 1, rule: Rule::BuryAtOnce });
}

#[test]
fn a_client_misses_something_when_its_cursor_lies_a_fixed_margin_back() {
    misses(Hearing { changes: 2, publishers: 1, silences: 0, deaths: 0, rule: Rule::FixedMargin });
}

/// Expects a path on which the client misses a change: the rule is not enough.
fn misses(model: Hearing) {
    model.checker().spawn_bfs().join().assert_any_discovery(KNOWS_EVERYTHING);
}

#[test]
fn one_order_ends_once_whatever_dies_and_whatever_is_lost() {
    check(Pipeline { orders: 1, crashes: 2, deposals: 1, losses: 1 });
}

#[test]
fn two_orders_end_once_whatever_dies() {
    check(Pipeline { orders: 2, crashes: 2, deposals: 0, losses: 0 });
}

#[test]
fn two_orders_end_once_when_a_process_dies_and_redis_loses_everything() {
    check(Pipeline { orders: 2, crashes: 1, deposals: 0, losses: 1 });
}

fn check<M: Model + Send + Sync + 'static>(model: M)
where
    M::State: std::fmt::Debug + std::hash::Hash + Send + Sync + PartialEq + Clone,
    M::Action: std::fmt::Debug + PartialEq + Clone,
{
    let checker = model.checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}
