//! One order: its row, its entry, and what is known of it where.

use galley_protocol::{Reason, Status, Transition};

/// How often an order may be adopted here; there it is five times.
pub const MAX_ADOPTIONS: u8 = 1;

/// The workers come first, the gateway is the last.
pub const WORKERS: usize = 2;
/// The number of the gateway.
pub const GATEWAY: usize = WORKERS;

/// A row, its entry on the queue, and what is known of it where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// True if the row is there.
    pub is_placed: bool,
    /// Where it stands.
    pub status: Status,
    /// Rises with each transition.
    pub version: u8,
    /// How often it ended.
    pub ends: u8,
    /// How often it was adopted.
    pub adoptions: u8,
    /// True if a cancel was answered with 200.
    pub cancel_answered: bool,
    /// Who told the sockets of the newest state.
    pub news: News,
    /// Who prepares it.
    pub owner: Option<Incarnation>,
    /// On the queue.
    pub entry: Entry,
    /// Which workers hold it in preparation, rightly or not.
    pub held: [bool; WORKERS],
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
pub enum Incarnation {
    Of(usize),
    Dead,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
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

impl Order {
    /// Not placed yet.
    pub fn new() -> Self {
        Self {
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
        }
    }

    /// A worker takes it, unless somebody else was faster.
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
            self.news = News::With(worker);
        }
    }

    /// A worker finds that it is due.
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
        self.news = News::With(process);
        if !self.status.is_active() {
            self.ends += 1;
            self.owner = None;
        }
    }

    /// Redis lost its entry, and what was on its way to the sockets.
    pub fn lose(&mut self) {
        if self.entry != Entry::Due {
            self.entry = Entry::Gone;
        }
        if self.news != News::Told {
            self.news = News::Lost;
        }
    }

    /// A process is no more.
    pub fn forget(&mut self, process: usize) {
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
        if self.entry == Entry::Read(dying) {
            self.entry = Entry::Read(Incarnation::Dead);
        } else if self.entry == Entry::Claimed(dying) {
            self.entry = Entry::Claimed(Incarnation::Dead);
        }
    }
}
