//! One order: its row, its entry on the queue, and the knowledge of it in each process.

use galley_protocol::{Reason, Status, Transition};

/// The adoptions of an order at most; the service allows five.
pub const MAX_ADOPTIONS: u8 = 1;

/// The number of workers; they are numbered first, the gateway last.
pub const WORKERS: usize = 2;
/// The number of the gateway.
pub const GATEWAY: usize = WORKERS;

/// An order: its row, its entry on the queue, and the knowledge of it in each process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelOrder {
    /// True if the row is there.
    pub is_placed: bool,
    /// The status of the row.
    pub status: Status,
    /// The version, which rises with each transition.
    pub version: u8,
    /// The number of times that it ended.
    pub ends: u8,
    /// The number of times that it was adopted.
    pub adoptions: u8,
    /// True if a cancel was answered with 200.
    pub cancel_answered: bool,
    /// The way of the newest state to the sockets.
    pub news: ModelNews,
    /// The worker that prepares it, if any.
    pub owner: Option<Incarnation>,
    /// Its entry on the queue.
    pub entry: ModelEntry,
    /// For each worker, true while it prepares the order, rightly or not.
    pub held: [bool; WORKERS],
}

/// The way of the newest state to the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelNews {
    /// The sockets have it.
    Told,
    /// This process is about to publish it.
    With(usize),
    /// The process that was about to publish it is dead.
    Lost,
}

/// A start of a worker. All dead ones are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Incarnation {
    Of(usize),
    Dead,
}

/// The state of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelEntry {
    /// The gateway is about to dispatch it.
    Due,
    Waiting,
    /// Read, and not claimed.
    Read(Incarnation),
    /// Claimed, and not acknowledged.
    Claimed(Incarnation),
    /// Acknowledged, or lost.
    Gone,
}

impl ModelOrder {
    /// An order that is not placed yet.
    pub fn new() -> Self {
        Self {
            is_placed: false,
            status: Status::Pending,
            version: 1,
            ends: 0,
            adoptions: 0,
            cancel_answered: false,
            news: ModelNews::Told,
            owner: None,
            entry: ModelEntry::Gone,
            held: [false; WORKERS],
        }
    }

    /// A worker claims it, unless another one was faster.
    pub fn claim(&mut self, worker: usize) {
        if self.status == Status::Pending {
            self.take(Transition::Start, worker);
            self.owner = Some(Incarnation::Of(worker));
            self.held[worker] = true;
        }
    }

    /// A worker takes it over, or gives it up.
    pub fn adopt(&mut self, worker: usize) {
        if self.adoptions == MAX_ADOPTIONS {
            self.take(Transition::Cancel(Reason::Undeliverable), worker);
        } else {
            self.adoptions += 1;
            self.owner = Some(Incarnation::Of(worker));
            self.held[worker] = true;
            self.news = ModelNews::With(worker);
        }
    }

    /// A worker ends its preparation, and completes it if it still owns it.
    pub fn complete(&mut self, worker: usize) {
        self.held[worker] = false;
        if self.status == Status::InProgress && self.owner == Some(Incarnation::Of(worker)) {
            self.take(Transition::Complete, worker);
        }
    }

    /// One guarded statement that found the status it expected; its process publishes the state,
    /// once it has committed.
    pub fn take(&mut self, transition: Transition, process: usize) {
        self.status = self
            .status
            .step(transition)
            .expect("the guard names a status from which this step leads");
        self.version += 1;
        self.news = ModelNews::With(process);
        if !self.status.is_active() {
            self.ends += 1;
            self.owner = None;
        }
    }

    /// Redis lost its entry, and the message on its way to the sockets.
    pub fn lose(&mut self) {
        if self.entry != ModelEntry::Due {
            self.entry = ModelEntry::Gone;
        }
        if self.news != ModelNews::Told {
            self.news = ModelNews::Lost;
        }
    }

    /// A process died.
    pub fn forget(&mut self, process: usize) {
        if self.news == ModelNews::With(process) {
            self.news = ModelNews::Lost;
        }
        if process == GATEWAY {
            if self.entry == ModelEntry::Due {
                self.entry = ModelEntry::Gone;
            }
            return;
        }
        self.held[process] = false;
        let dying = Incarnation::Of(process);
        if self.owner == Some(dying) {
            self.owner = Some(Incarnation::Dead);
        }
        if self.entry == ModelEntry::Read(dying) {
            self.entry = ModelEntry::Read(Incarnation::Dead);
        } else if self.entry == ModelEntry::Claimed(dying) {
            self.entry = ModelEntry::Claimed(Incarnation::Dead);
        }
    }
}
