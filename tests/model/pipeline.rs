//! The state, and every step that may be taken from it.

use galley_protocol::{Reason, Status, Transition};

use crate::model_order::{GATEWAY, Incarnation, ModelEntry, ModelNews, ModelOrder, WORKERS};

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
pub struct PipelineState {
    /// The orders.
    pub orders: Vec<ModelOrder>,
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
pub enum PipelineStep {
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

impl PipelineState {
    /// The initial state.
    pub fn new(model: &Pipeline) -> Self {
        let Pipeline { orders, crashes, deposals, losses } = *model;
        Self {
            orders: vec![ModelOrder::new(); orders],
            seen: [true; WORKERS],
            is_missing: false,
            crashes,
            deposals,
            losses,
        }
    }

    /// Every step that may be taken now.
    pub fn steps(&self, steps: &mut Vec<PipelineStep>) {
        for (at, order) in self.orders.iter().enumerate() {
            if order.is_placed {
                self.steps_of(at, order, steps);
            } else {
                steps.push(PipelineStep::Place(at));
            }
        }
        if self.crashes > 0 {
            steps.extend((0..=GATEWAY).map(PipelineStep::Crash));
        }
        if self.deposals > 0 {
            steps.extend((0..WORKERS).map(PipelineStep::Depose));
        }
        if self.losses > 0 {
            steps.push(PipelineStep::Lose);
        }
        if self.is_missing {
            steps.push(PipelineStep::Repair);
        }
    }

    fn steps_of(&self, at: usize, order: &ModelOrder, steps: &mut Vec<PipelineStep>) {
        if order.status.is_active() {
            steps.push(PipelineStep::Cancel(at));
        }
        if let ModelNews::With(_) = order.news {
            steps.push(PipelineStep::Publish(at));
        }
        match order.entry {
            // The update is published before the entry is added.
            ModelEntry::Due if order.news != ModelNews::With(GATEWAY) => {
                steps.push(PipelineStep::Dispatch(at));
            }
            ModelEntry::Waiting
            | ModelEntry::Read(Incarnation::Dead)
            | ModelEntry::Claimed(Incarnation::Dead) => {
                steps.extend((0..WORKERS).map(|worker| PipelineStep::Read(worker, at)));
            }
            ModelEntry::Read(Incarnation::Of(worker)) => {
                steps.push(PipelineStep::Claim(worker, at));
            }
            // It publishes the result of the claim first.
            ModelEntry::Claimed(Incarnation::Of(worker))
                if order.news != ModelNews::With(worker) =>
            {
                steps.push(PipelineStep::Acknowledge(at));
            }
            ModelEntry::Due | ModelEntry::Claimed(Incarnation::Of(_)) | ModelEntry::Gone => {}
        }
        for worker in 0..WORKERS {
            if order.status == Status::Pending {
                steps.push(PipelineStep::Sweep(worker, at));
            }
            if self.seen[worker] && order.owner.is_some_and(|owner| !self.is_seen(owner)) {
                steps.push(PipelineStep::Adopt(worker, at));
            }
            if order.held[worker] {
                steps.push(PipelineStep::Complete(worker, at));
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
                PipelineStep::Place(_)
                    | PipelineStep::Cancel(_)
                    | PipelineStep::Crash(_)
                    | PipelineStep::Depose(_)
                    | PipelineStep::Lose
            )
        })
    }

    /// The state after a step.
    pub fn after(mut self, step: PipelineStep) -> Self {
        match step {
            PipelineStep::Place(at) => {
                let order = &mut self.orders[at];
                (order.is_placed, order.entry, order.news) =
                    (true, ModelEntry::Due, ModelNews::With(GATEWAY));
            }
            PipelineStep::Cancel(at) => {
                self.orders[at].take(Transition::Cancel(Reason::HeroRequest), GATEWAY);
                self.orders[at].cancel_answered = true;
            }
            PipelineStep::Dispatch(at) => self.orders[at].entry = ModelEntry::Waiting,
            PipelineStep::Publish(at) => self.orders[at].news = ModelNews::Told,
            PipelineStep::Read(worker, at) => {
                self.orders[at].entry = ModelEntry::Read(Incarnation::Of(worker));
            }
            PipelineStep::Claim(worker, at) => {
                self.orders[at].entry = ModelEntry::Claimed(Incarnation::Of(worker));
                self.orders[at].claim(worker);
            }
            PipelineStep::Acknowledge(at) => self.orders[at].entry = ModelEntry::Gone,
            PipelineStep::Sweep(worker, at) => self.orders[at].claim(worker),
            PipelineStep::Adopt(worker, at) => self.orders[at].adopt(worker),
            PipelineStep::Complete(worker, at) => self.orders[at].complete(worker),
            PipelineStep::Crash(process) => self.crash(process),
            PipelineStep::Depose(worker) => {
                self.deposals -= 1;
                self.seen[worker] = false;
            }
            PipelineStep::Lose => {
                self.losses -= 1;
                self.is_missing = true;
                self.orders.iter_mut().for_each(ModelOrder::lose);
            }
            PipelineStep::Repair => {
                self.is_missing = false;
                self.orders.iter_mut().for_each(|order| order.news = ModelNews::Told);
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
