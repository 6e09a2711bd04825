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

mod hearing_model;
mod hearing_state;
mod model_order;
mod pipeline;

use galley_protocol::Status;
use hearing_model::{HearingModel, RepairRule};
use hearing_state::{ModelClient, PublishStage};
use model_order::{MAX_ADOPTIONS, ModelNews};
use pipeline::{Pipeline, PipelineState};
use stateright::{Checker as _, Model, Property};

impl Model for Pipeline {
    type State = PipelineState;
    type Action = pipeline::PipelineStep;

    fn init_states(&self) -> Vec<PipelineState> {
        vec![PipelineState::new(self)]
    }

    fn actions(&self, state: &PipelineState, steps: &mut Vec<Self::Action>) {
        state.steps(steps);
    }

    fn next_state(&self, state: &PipelineState, step: Self::Action) -> Option<PipelineState> {
        Some(state.clone().after(step))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("no order ends twice", |_, state: &PipelineState| {
                state.orders.iter().all(|order| order.ends <= 1)
            }),
            Property::always("the version counts the transitions", |_, state: &PipelineState| {
                state.orders.iter().all(|order| match order.status {
                    Status::Pending => order.version == 1,
                    Status::InProgress => order.version == 2,
                    Status::Completed => order.version == 3,
                    Status::Cancelled => order.version == 2 || order.version == 3,
                })
            }),
            Property::always("what was cancelled stays so", |_, state: &PipelineState| {
                state
                    .orders
                    .iter()
                    .all(|order| !order.cancel_answered || order.status == Status::Cancelled)
            }),
            Property::always("at rest every order has ended", |_, state: &PipelineState| {
                !state.is_at_rest()
                    || state.orders.iter().all(|order| !order.is_placed || order.ends == 1)
            }),
            Property::always(
                "at rest every socket knows the newest state",
                |_, state: &PipelineState| {
                    !state.is_at_rest()
                        || state.orders.iter().all(|order| order.news == ModelNews::Told)
                },
            ),
        ];
        // An order is given up only after it lost two owners.
        if self.crashes + self.deposals > MAX_ADOPTIONS {
            properties.extend([
                Property::sometimes(
                    "an order ends as undeliverable",
                    |_, state: &PipelineState| {
                        state.orders.iter().any(|order| {
                            order.status == Status::Cancelled && !order.cancel_answered
                        })
                    },
                ),
                Property::sometimes("an adopted order is completed", |_, state: &PipelineState| {
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

impl Model for HearingModel {
    type State = hearing_state::HearingState;
    type Action = hearing_model::HearingStep;

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
            Property::always(KNOWS_EVERYTHING, |model, state: &hearing_state::HearingState| {
                let is_connected = matches!(state.client, ModelClient::Connected { .. });
                let is_visible = |stage| {
                    matches!(stage, PublishStage::Committed(_) | PublishStage::Announced(_))
                };
                let is_owed = |change: &&hearing_state::ModelChange| {
                    is_visible(change.stage) && !change.is_known
                };
                !is_connected
                    || !state.changes.iter().any(|change| is_owed(&change))
                    || !model.is_at_rest(state)
            }),
            Property::always(BELOW_THE_WATERMARK, |_, state: &hearing_state::HearingState| {
                state.changes.iter().all(|change| match change.stage {
                    PublishStage::Waiting => true,
                    PublishStage::Stamped(number) => number >= state.watermark(),
                    PublishStage::Committed(number) | PublishStage::Announced(number) => {
                        number >= state.watermark() || change.is_told
                    }
                })
            }),
            Property::sometimes("a client resumes", |_, state: &hearing_state::HearingState| {
                state.client == ModelClient::Connected { may_leave: false }
            }),
        ]
    }
}

const KNOWS_EVERYTHING: &str =
    "at rest a client that is connected, or has come back, knows every change";
const BELOW_THE_WATERMARK: &str = "whatever lies below the watermark has ended, and was told";

#[test]
fn a_client_misses_nothing_whoever_is_silent() {
    check(HearingModel {
        changes: 2,
        publishers: 1,
        silences: 1,
        deaths: 0,
        rule: RepairRule::Census,
    });
}

#[test]
fn a_client_misses_nothing_whoever_dies() {
    check(HearingModel {
        changes: 2,
        publishers: 1,
        silences: 0,
        deaths: 1,
        rule: RepairRule::Census,
    });
}

#[test]
fn a_client_misses_nothing_however_late_a_commit_becomes_visible() {
    check(HearingModel {
        changes: 2,
        publishers: 2,
        silences: 0,
        deaths: 0,
        rule: RepairRule::Census,
    });
}

#[test]
fn a_client_misses_something_when_a_silent_publisher_is_repaired_for_once() {
    misses(HearingModel {
        changes: 2,
        publishers: 1,
        silences: 1,
        deaths: 0,
        rule: RepairRule::RepairOnce,
    });
}

#[test]
fn a_client_misses_something_when_a_dead_publisher_is_forgotten_before_its_last_commit() {
    misses(HearingModel {
        changes: 1,
        publishers: 1,
        silences: 0,
        deaths: 1,
        rule: RepairRule::BuryAtOnce,
    });
}

#[test]
fn a_client_misses_something_when_its_cursor_lies_a_fixed_margin_back() {
    misses(HearingModel {
        changes: 2,
        publishers: 1,
        silences: 0,
        deaths: 0,
        rule: RepairRule::FixedMargin,
    });
}

/// Expects a path on which the client misses a change: the rule is not enough.
fn misses(model: HearingModel) {
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
