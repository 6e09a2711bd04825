//! The way of an order as a model, every interleaving of which is looked at: two orders, two workers, a gateway, crashes, a worker
//! that is taken for dead while it lives, and a Redis that loses everything.
//!
//! What is one step here is one statement or one pipeline there. A step that waits for a time (the sweep, adopting, taking over a dead
//! worker's entries) may happen at any moment here, so that no property rests on a time. Each step uses something up – a version, an
//! entry, something untold, a crash – so that no path has a cycle: whatever happens comes to rest.

mod order;
mod pipeline;

use galley_protocol::Status;
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
            Property::always("no order ends twice", |_, state: &State| state.orders.iter().all(|order| order.ends <= 1)),
            Property::always("the version counts the transitions", |_, state: &State| {
                state.orders.iter().all(|order| match order.status {
                    Status::Pending => order.version == 1,
                    Status::InProgress => order.version == 2,
                    Status::Completed => order.version == 3,
                    Status::Cancelled => order.version == 2 || order.version == 3,
                })
            }),
            Property::always("what was cancelled stays so", |_, state: &State| {
                state.orders.iter().all(|order| !order.cancel_answered || order.status == Status::Cancelled)
            }),
            Property::always("at rest every order has ended", |_, state: &State| {
                !state.is_at_rest() || state.orders.iter().all(|order| !order.is_placed || order.ends == 1)
            }),
            Property::always("at rest every socket knows the newest state", |_, state: &State| {
                !state.is_at_rest() || state.orders.iter().all(|order| order.news == News::Told)
            }),
        ];
        // Two owners must go before an order is given up.
        if self.crashes + self.deposals > MAX_ADOPTIONS {
            properties.extend([
                Property::sometimes("an order ends as undeliverable", |_, state: &State| {
                    state.orders.iter().any(|order| order.status == Status::Cancelled && !order.cancel_answered)
                }),
                Property::sometimes("an adopted order is completed", |_, state: &State| {
                    state.orders.iter().any(|order| order.adoptions > 0 && order.status == Status::Completed)
                }),
            ]);
        }
        properties
    }
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

fn check(model: Pipeline) {
    model.checker().spawn_bfs().join().assert_properties();
}
