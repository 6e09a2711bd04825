//! What can be done to a stage, and when.

use std::time::Duration;

/// Something to do at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// When, after the beginning.
    pub at: Duration,
    /// What.
    pub action: Action,
}

/// A process of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// A gateway; of an embedded service all there is.
    Gateway(usize),
    /// A worker.
    Worker(usize),
}

/// The connections of some processes to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Of the gateways to `PostgreSQL`.
    GatewaysToPostgres,
    /// Of the workers to `PostgreSQL`.
    WorkersToPostgres,
    /// Of the gateways to Redis.
    GatewaysToRedis,
    /// Of the workers to Redis.
    WorkersToRedis,
}

/// What is done to the data in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mischief {
    /// `FLUSHALL`.
    Flush,
    /// The consumer group is destroyed.
    DestroyGroup,
    /// The stream is deleted.
    DeleteStream,
    /// Subscribers are disconnected.
    KillSubscribers,
    /// Everybody else is disconnected.
    KillClients,
    /// Nothing is answered for this time.
    Hold(Duration),
    /// Entries that mean nothing, or name orders that are not there.
    StrangeEntries,
    /// Entries of old orders, each twice.
    OldEntries,
    /// Messages that mean nothing on every channel.
    StrangeMessages,
}

/// What is done to `PostgreSQL`, while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Obstacle {
    /// All connections are ended.
    EndAll,
    /// The connections that show workers alive are ended.
    EndLiveness,
    /// The table of orders is locked for this time.
    LockTable(Duration),
    /// The rows of open orders are locked for this time.
    LockRows(Duration),
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// With -9.
    Kill(Part),
    /// Asked with SIGTERM to leave.
    Retire(Part),
    /// Started; whatever still runs of it is killed first.
    Start(Part),
    /// With SIGSTOP.
    Pause(Part),
    /// With SIGCONT.
    Continue(Part),
    /// Redis is killed, and with it all it held.
    KillRedis,
    /// Redis is started, empty.
    StartRedis,
    /// Redis takes nothing more in.
    FillRedis,
    /// Redis takes something in again.
    EmptyRedis,
    /// Redis, while it runs.
    Meddle(Mischief),
    /// `PostgreSQL` stops without a checkpoint.
    CrashPostgres,
    /// `PostgreSQL` is started.
    StartPostgres,
    /// `PostgreSQL`, while it runs.
    Obstruct(Obstacle),
    /// Every connection ends.
    Cut(Link),
    /// What passes takes longer.
    Slow(Link, Duration),
    /// Nothing passes to the server.
    Mute(Link),
    /// Nothing passes at all.
    Stall(Link),
    /// Everything passes.
    Free(Link),
    /// The disk of the database is full.
    FillDisk,
    /// It has room again; the database is started when it ended.
    EmptyDisk,
}
