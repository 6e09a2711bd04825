//! What can be done to a stage, and when.

use std::time::Duration;

use serde::Serialize;

/// Something to do at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The moment, after the beginning.
    pub at: Duration,
    /// The deed.
    pub action: Action,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Part {
    /// A gateway; of an embedded service all there is.
    Gateway(usize),
    /// A worker.
    Worker(usize),
    /// A node of the Redis Cluster.
    Node(usize),
    /// `PgBouncer`.
    Pooler,
}

/// A server that gateways and workers need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Server {
    /// `PostgreSQL`, or the pooler in front of it.
    Postgres,
    /// Redis.
    Redis,
}

/// The connections between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Link {
    /// Those of one gateway or worker to a server.
    Of(Part, Server),
    /// Those of the standby to its primary.
    Replication,
}

/// Damage to the data in Redis, or to its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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

/// A hindrance that `PostgreSQL` gets while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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

/// A fault, or the end of one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Action {
    /// The process is killed with -9.
    Kill(Part),
    /// The process is asked with SIGTERM to leave.
    Retire(Part),
    /// The process is started; whatever still runs of it is killed first.
    Start(Part),
    /// The process is stopped with SIGSTOP.
    Pause(Part),
    /// The process goes on with SIGCONT.
    Continue(Part),
    /// Redis is killed, and with it all it held.
    KillRedis,
    /// Redis is started, empty.
    StartRedis,
    /// Redis takes nothing more in.
    FillRedis,
    /// Redis takes something in again.
    EmptyRedis,
    /// Redis is damaged while it runs.
    Meddle(Mischief),
    /// One node of the Redis Cluster is damaged while it runs.
    MeddleWith(usize, Mischief),
    /// Redis becomes a replica, and its replica becomes Redis.
    DemoteRedis {
        /// Old connections end. Otherwise they live on, at the server that was demoted.
        disconnect: bool,
    },
    /// This node takes the place of its master, if it is a replica; else one of its replicas does.
    FailOver(usize),
    /// The slot of this shard moves to another node.
    Reshard(u16),
    /// `PostgreSQL` stops without a checkpoint.
    CrashPostgres,
    /// `PostgreSQL` is started.
    StartPostgres,
    /// `PostgreSQL` is hindered while it runs.
    Obstruct(Obstacle),
    /// `PostgreSQL` refuses to write.
    ForbidWriting,
    /// `PostgreSQL` writes again.
    AllowWriting,
    /// Every connection that `PostgreSQL` still has to give is taken.
    TakeConnections,
    /// The connections that were taken are given back.
    ReturnConnections,
    /// The primary is gone for good, and its synchronous standby takes its place.
    Promote,
    /// Every connection ends.
    Cut(Link),
    /// Each piece takes longer on its way.
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
