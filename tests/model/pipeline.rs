//! The state, and every step that may be taken from it.

use galley_protocol::{Reason, Status, Transition};

/// How often an order may be adopted here; there it is five times.
pub const MAX_ADOPTIONS: u8 = 1;

/// The workers come first, the gateway is the last.
const WORKERS: usize = 2;
const GATEWAY: usize = WORKERS;

/// How much there is, and how much may go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Pipeline {
    /// How many orders are placed.
    pub orders: usize,
    /// How many processes die.
    pub crashes: u8,
    /// How many workers are taken for dead while they live.
    pub deposals: u8,
    /// How often Redis loses everything.
    pub losses: u8,
}

/// The database, Redis, and what each process remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The orders.
    pub orders: Vec<Order>,
    /// Whether each worker is seen alive.
    seen: [bool; WORKERS],
    /// Gateways have reason to read the database: a publisher fell silent, or Redis lost messages.
    is_missing: bool,
    crashes: u8,
    deposals: u8,
    losses: u8,
}

/// A row, its entry on the queue, and what is known of it where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// Whether the row is there.
    pub is_placed: bool,
    /// Where it stands.
    pub status: Status,
    /// Rises with each transition.
    pub version: u8,
    /// How often it ended.
    pub ends: u8,
    /// How often it was adopted.
    pub adoptions: u8,
    /// Whether a cancel was answered with 200.
    pub cancel_answered: bool,
    /// Who told the sockets of the newest state.
    pub news: News,
    owner: Option<Incarnation>,
    entry: Entry,
    /// Which workers hold it in preparation, rightly or not.
    held: [bool; WORKERS],
}

/// What sockets know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// The newest state.
    Told,
    /// Not yet: this process is about to tell them.
    With(usize),
    /// Not yet: the process that was about to is dead.
    Lost,
}

/// A start of a worker. All that are no more are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Incarnation {
    Of(usize),
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Entry {
    /// Not yet: the gateway is about to dispatch.
    Due,
    Waiting,
    /// Read, and not claimed.
    Read(Incarnation),
    /// Claimed, and not acknowledged.
    Claimed(Incarnation),
    /// Acknowledged, or lost.
    Gone,
}

/// What may happen next: to a worker and an order, where it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The gateway places an order.
    Place(usize),
    /// The gateway cancels it, and answers.
    Cancel(usize),
    /// The gateway dispatches it.
    Dispatch(usize),
    /// A process publishes.
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
    /// Nothing has happened.
    pub fn new(model: &Pipeline) -> Self {
        let order = Order {
            is_placed: false,
            status: Status::Pending,
            version: 1,
            ends: 0,
            adoptions: 0,
            cancel_answered: false,
            news: News::Told,
            owner: None,
            entry: Entry::Gone,
            held: [false; WORKERS],
        };
        let Pipeline { orders, crashes, deposals, losses } = *model;
        Self { orders: vec![order; orders], seen: [true; WORKERS], is_missing: false, crashes, deposals, losses }
    }

    /// Every step that may be taken now.
    pub fn steps(&self, steps: &mut Vec<Step>) {
        for (at, order) in self.orders.iter().enumerate() {
            if order.is_placed { self.steps_of(at, order, steps) } else { steps.push(Step::Place(at)) }
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
        if let News::With(process) = order.news {
            // An entry is on its way before the update.
            if process != GATEWAY || order.entry != Entry::Due {
                steps.push(Step::Publish(at));
            }
        }
        match order.entry {
            Entry::Due => steps.push(Step::Dispatch(at)),
            Entry::Waiting | Entry::Read(Incarnation::Dead) | Entry::Claimed(Incarnation::Dead) => {
                steps.extend((0..WORKERS).map(|worker| Step::Read(worker, at)));
            }
            Entry::Read(Incarnation::Of(worker)) => steps.push(Step::Claim(worker, at)),
            // It publishes what came of the claim first.
            Entry::Claimed(Incarnation::Of(worker)) if order.news != News::With(worker) => steps.push(Step::Acknowledge(at)),
            Entry::Claimed(Incarnation::Of(_)) | Entry::Gone => {}
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

    /// Whether nothing is left that somebody does by itself: no hero has to cancel, and nothing has to break.
    pub fn is_at_rest(&self) -> bool {
        let mut steps = Vec::new();
        self.steps(&mut steps);
        steps.iter().all(|step| matches!(step, Step::Place(_) | Step::Cancel(_) | Step::Crash(_) | Step::Depose(_) | Step::Lose))
    }

    /// The state after a step.
    pub fn after(mut self, step: Step) -> Self {
        match step {
            Step::Place(at) => {
                let order = &mut self.orders[at];
                (order.is_placed, order.entry, order.news) = (true, Entry::Due, News::With(GATEWAY));
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

impl Order {
    fn claim(&mut self, worker: usize) {
        if self.status == Status::Pending {
            self.take(Transition::Start, worker);
            self.owner = Some(Incarnation::Of(worker));
            self.held[worker] = true;
        }
    }

    fn adopt(&mut self, worker: usize) {
        if self.adoptions == MAX_ADOPTIONS {
            self.take(Transition::Cancel(Reason::Undeliverable), worker);
        } else {
            self.adoptions += 1;
            self.owner = Some(Incarnation::Of(worker));
            self.held[worker] = true;
            self.news = News::With(worker);
        }
    }

    fn complete(&mut self, worker: usize) {
        self.held[worker] = false;
        if self.status == Status::InProgress && self.owner == Some(Incarnation::Of(worker)) {
            self.take(Transition::Complete, worker);
        }
    }

    /// One guarded statement that found the status it expected; its process publishes the state, once it has committed.
    fn take(&mut self, transition: Transition, process: usize) {
        self.status = self.status.step(transition).expect("the guard names a status from which this step leads");
        self.version += 1;
        self.news = News::With(process);
        if !self.status.is_active() {
            self.ends += 1;
            self.owner = None;
        }
    }

    /// Redis lost its entry, and what was on its way to the sockets.
    fn lose(&mut self) {
        if self.entry != Entry::Due {
            self.entry = Entry::Gone;
        }
        if self.news != News::Told {
            self.news = News::Lost;
        }
    }

    /// A process is no more.
    fn forget(&mut self, process: usize) {
        if self.news == News::With(process) {
            self.news = News::Lost;
        }
        if process == GATEWAY {
            if self.entry == Entry::Due {
                self.entry = Entry::Gone;
            }
            return;
        }
        self.held[process] = false;
        let dying = Incarnation::Of(process);
        if self.owner == Some(dying) {
            self.owner = Some(Incarnation::Dead);
        }
        self.entry = match self.entry {
            Entry::Read(by) if by == dying => Entry::Read(Incarnation::Dead),
            Entry::Claimed(by) if by == dying => Entry::Claimed(Incarnation::Dead),
            other => other,
        };
    }
}
