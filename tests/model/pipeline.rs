//! The state, and every step that may be taken from it.

use galley_protocol::{Reason, Status, Transition};

use crate::order::{Entry, GATEWAY, Incarnation, News, Order, WORKERS};

/// The bounds of the model: orders and failures.
#[derive(Clone, Copy, Debug)]
pub struct Pipeline {
    /// The number of orders.
    pub orders: usize,
    /// The number of processes that die.
    pub crashes: u8,
    /// The number of workers that are taken for dead while they live.
    pub deposals: u8,
    /// The number of times that Redis loses everything.
    pub losses: u8,
}

/// The database, Redis, and what each process remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The orders.
    pub orders: Vec<Order>,
    /// For each worker, true while the others see it alive.
    seen: [bool; WORKERS],
    /// Set while gateways must read the database: a publisher fell silent, or Redis lost messages.
    is_missing: bool,
    crashes: u8,
    deposals: u8,
    losses: u8,
}

/// A step, with the numbers of its worker and its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The gateway places an order.
    Place(usize),
    /// The gateway cancels it, and answers.
    Cancel(usize),
    /// The gateway dispatches it.
    Dispatch(usize),
    /// A process publishes the state of an order.
    Publish(usize),
    /// A worker reads the entry, or takes over that of a dead one.
    Read(usize, usize),
    /// A worker claims what its entry names.
    Claim(usize, usize),
    /// A worker acknowledges the entry.
    Acknowledge(usize),
    /// A worker claims from the database.
    Sweep(usize, usize),
    /// A worker takes over an order of a dead one.
    Adopt(usize, usize),
    /// A worker completes what it holds, or finds that it must not.
    Complete(usize, usize),
    /// A process dies, and is started again.
    Crash(usize),
    /// A worker is taken for dead.
    Depose(usize),
    /// Redis loses everything.
    Lose,
    /// Every gateway reads the database.
    Repair,
}

impl State {
    /// The initial state.
    pub fn new(model: &Pipeline) -> Self {
        let Pipeline { orders, crashes, deposals, losses } = *model;
        Self {
            orders: vec![Order::new(); orders],
            seen: [true; WORKERS],
            is_missing: false,
            crashes,
            deposals,
            losses,
        }
    }

    /// Every step that may be taken now.
    pub fn steps(&self, steps: &mut Vec<Step>) {
        for (at, order) in self.orders.iter().enumerate() {
            if order.is_placed {
                self.steps_of(at, order, steps);
            } else {
                steps.push(Step::Place(at));
            }
        }
        if self.crashes > 0 {
            steps.extend((0..=GATEWAY).map(Step::Crash));
        }
        if self.deposals > 0 {
            steps.extend((0..WORKERS).map(Step::Depose));
        }
        if self.losses > 0 {
            steps.push(Step::Lose);
        }
        if self.is_missing {
            steps.push(Step::Repair);
        }
    }

    fn steps_of(&self, at: usize, order: &Order, steps: &mut Vec<Step>) {
        if order.status.is_active() {
            steps.push(Step::Cancel(at));
        }
        if let News::With(_) = order.news {
            steps.push(Step::Publish(at));
        }
        match order.entry {
            // The update is published before the entry is added.
            Entry::Due if order.news != News::With(GATEWAY) => steps.push(Step::Dispatch(at)),
            Entry::Waiting | Entry::Read(Incarnation::Dead) | Entry::Claimed(Incarnation::Dead) => {
                steps.extend((0..WORKERS).map(|worker| Step::Read(worker, at)));
            }
            Entry::Read(Incarnation::Of(worker)) => steps.push(Step::Claim(worker, at)),
            // It publishes the result of the claim first.
            Entry::Claimed(Incarnation::Of(worker)) if order.news != News::With(worker) => {
                steps.push(Step::Acknowledge(at));
            }
            Entry::Due | Entry::Claimed(Incarnation::Of(_)) | Entry::Gone => {}
        }
        for worker in 0..WORKERS {
            if order.status == Status::Pending {
                steps.push(Step::Sweep(worker, at));
            }
            if self.seen[worker] && order.owner.is_some_and(|owner| !self.is_seen(owner)) {
                steps.push(Step::Adopt(worker, at));
            }
            if order.held[worker] {
                steps.push(Step::Complete(worker, at));
            }
        }
    }

    /// Returns true if only optional steps remain: no hero has to cancel, and nothing has to break.
    pub fn is_at_rest(&self) -> bool {
        let mut steps = Vec::new();
        self.steps(&mut steps);
        steps.iter().all(|step| {
            matches!(
                step,
                Step::Place(_) | Step::Cancel(_) | Step::Crash(_) | Step::Depose(_) | Step::Lose
            )
        })
    }

    /// The state after a step.
    pub fn after(mut self, step: Step) -> Self {
        match step {
            Step::Place(at) => {
                let order = &mut self.orders[at];
                (order.is_placed, order.entry, order.news) =
                    (true, Entry::Due, News::With(GATEWAY));
            }
            Step::Cancel(at) => {
                self.orders[at].take(Transition::Cancel(Reason::HeroRequest), GATEWAY);
                self.orders[at].cancel_answered = true;
            }
            Step::Dispatch(at) => self.orders[at].entry = Entry::Waiting,
            Step::Publish(at) => self.orders[at].news = News::Told,
            Step::Read(worker, at) => self.orders[at].entry = Entry::Read(Incarnation::Of(worker)),
            Step::Claim(worker, at) => {
                self.orders[at].entry = Entry::Claimed(Incarnation::Of(worker));
                self.orders[at].claim(worker);
            }
            Step::Acknowledge(at) => self.orders[at].entry = Entry::Gone,
            Step::Sweep(worker, at) => self.orders[at].claim(worker),
            Step::Adopt(worker, at) => self.orders[at].adopt(worker),
            Step::Complete(worker, at) => self.orders[at].complete(worker),
            Step::Crash(process) => self.crash(process),
            Step::Depose(worker) => {
                self.deposals -= 1;
                self.seen[worker] = false;
            }
            Step::Lose => {
                self.losses -= 1;
                self.is_missing = true;
                self.orders.iter_mut().for_each(Order::lose);
            }
            Step::Repair => {
                self.is_missing = false;
                self.orders.iter_mut().for_each(|order| order.news = News::Told);
            }
        }
        self
    }

    fn crash(&mut self, process: usize) {
        self.crashes -= 1;
        self.is_missing = true;
        for order in &mut self.orders {
            order.forget(process);
        }
        if process != GATEWAY {
            self.seen[process] = true;
        }
    }

    fn is_seen(&self, incarnation: Incarnation) -> bool {
        matches!(incarnation, Incarnation::Of(worker) if self.seen[worker])
    }
}
