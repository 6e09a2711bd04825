//! The actions on a stage, and their times.

use std::time::Duration;

use serde::Serialize;

/// An action at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultStep {
    /// The time since the beginning.
    pub at: Duration,
    /// The action.
    pub action: Action,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Component {
    /// A gateway, or the whole embedded service.
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
pub enum Backend {
    /// `PostgreSQL`, or the pooler in front of it.
    Postgres,
    /// Redis.
    Redis,
}

/// The connections between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum ServerLink {
    /// The connections of one gateway or worker to a server.
    Of(Component, Backend),
    /// The connections of the standby to its primary.
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
    /// All other clients are disconnected.
    KillClients,
    /// Nothing is answered for this time.
    Hold(Duration),
    /// Malformed entries and entries of unknown orders are added.
    StrangeEntries,
    /// Entries of old orders are added, each twice.
    OldEntries,
    /// Malformed messages are published on every channel.
    StrangeMessages,
}

/// An obstacle for `PostgreSQL` while it runs.
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
    Kill(Component),
    /// The process is stopped with SIGTERM.
    Retire(Component),
    /// The process is started; if it still runs it is killed first.
    Start(Component),
    /// The process is paused with SIGSTOP.
    Pause(Component),
    /// The process continues with SIGCONT.
    Continue(Component),
    /// Redis is killed, and its data is lost.
    KillRedis,
    /// Redis is started, empty.
    StartRedis,
    /// Redis accepts no more data.
    FillRedis,
    /// Redis accepts data again.
    EmptyRedis,
    /// Redis is damaged while it runs.
    Meddle(Mischief),
    /// One node of the Redis Cluster is damaged while it runs.
    MeddleWith(usize, Mischief),
    /// Redis is demoted to a replica, and its replica is promoted.
    DemoteRedis {
        /// True if old connections end; otherwise they stay, at the demoted server.
        disconnect: bool,
    },
    /// This node is promoted if it is a replica, otherwise one of its replicas.
    FailOver(usize),
    /// The slot of this shard moves to another node.
    Reshard(u16),
    /// `PostgreSQL` stops without a checkpoint.
    CrashPostgres,
    /// `PostgreSQL` is started.
    StartPostgres,
    /// `PostgreSQL` is obstructed while it runs.
    Obstruct(Obstacle),
    /// `PostgreSQL` refuses to write.
    ForbidWriting,
    /// `PostgreSQL` writes again.
    AllowWriting,
    /// All free connections of `PostgreSQL` are taken.
    TakeConnections,
    /// The connections that were taken are given back.
    ReturnConnections,
    /// The primary ends for good, and its synchronous standby is promoted.
    Promote,
    /// Every connection ends.
    Cut(ServerLink),
    /// Each chunk is delayed.
    Slow(ServerLink, Duration),
    /// Nothing passes to the server any more.
    Mute(ServerLink),
    /// Nothing passes at all.
    Stall(ServerLink),
    /// Everything passes.
    Free(ServerLink),
    /// The disk of the database is full.
    FillDisk,
    /// The disk has room again; the database is started if it ended.
    EmptyDisk,
}
