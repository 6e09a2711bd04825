//! The shared connection of one shard, for everything that answers at once.
//!
//! All callers in the process share it. A call fails at once while there is no connection, so
//! nobody waits for an unreachable Redis. A task reconnects, with back-off, and looks again for the
//! server that holds the shard. It ends with the link.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redis::{FromRedisValue, Pipeline, RedisResult};
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use super::node_connection::NodeConnection;
use super::nodes::Nodes;
use super::redis_failure::{ends_connection, is_misplaced};
use super::redis_names::{GROUP, RedisNames};
use super::tasks::Tasks;
use crate::{Backoff, BusError};

/// The longest wait for a response.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct CommandConnection {
    shared: Arc<ConnectionState>,
    _mender: AbortOnDropHandle<()>,
}

struct ConnectionState {
    nodes: Arc<Nodes>,
    slot: u16,
    stream: String,
    live: Mutex<Live>,
    /// The connection was lost.
    broken: Notify,
    /// Changes when the server may no longer be the right one.
    moves: watch::Sender<()>,
}

/// The connection and the number of those before it.
struct Live {
    connection: Option<NodeConnection>,
    generation: u64,
}

impl CommandConnection {
    /// Connects for the first time. If this fails, the error is returned as well, and the link
    /// keeps trying.
    pub(super) async fn open(
        nodes: Arc<Nodes>,
        names: &RedisNames,
        shard: u16,
        tasks: &Tasks,
    ) -> (Self, RedisResult<()>) {
        let live = Mutex::new(Live { connection: None, generation: 0 });
        let (slot, stream) = (names.slot(shard), names.stream(shard));
        let link = Arc::new(ConnectionState {
            nodes,
            slot,
            stream,
            live,
            broken: Notify::new(),
            moves: watch::Sender::default(),
        });
        let greeted =
            link.greet().await.map(|connection| link.live().connection = Some(connection));
        if greeted.is_err() {
            link.broken.notify_one();
        }
        let mender = tasks.start("mender of a link", mend(Arc::clone(&link)));
        (Self { shared: link, _mender: mender }, greeted)
    }

    pub(super) async fn query<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, BusError> {
        // A clone, so that the lock is not held during the query.
        let (generation, connection) = {
            let live = self.shared.live();
            (live.generation, live.connection.clone())
        };
        let mut connection =
            connection.ok_or_else(|| BusError::Unreachable("not connected".to_owned()))?;
        match pipeline.query_async(&mut connection).await {
            Ok(answers) => Ok(answers),
            Err(error) => {
                if ends_connection(&error) {
                    self.shared.lose(generation);
                }
                if is_misplaced(&error) {
                    self.shared.moves.send_replace(());
                }
                Err(error.into())
            }
        }
    }

    /// Returns a watch that changes when the server may no longer be the right one. The shard's
    /// other connections then lead to the wrong server, too.
    pub(super) fn moves(&self) -> watch::Receiver<()> {
        self.shared.moves.subscribe()
    }
}

impl ConnectionState {
    /// Connects, and checks that the server answers and accepts writes.
    async fn greet(&self) -> RedisResult<NodeConnection> {
        let mut connection = self.nodes.connect(self.slot, PATIENCE).await?;
        let mut pipeline = redis::pipe();
        pipeline.cmd("PING").ignore();
        write_nothing(&mut pipeline, &self.stream);
        pipeline.exec_async(&mut connection).await.map(|()| connection)
    }

    /// Drops the connection, unless it was already replaced by a newer one.
    fn lose(&self, generation: u64) {
        let mut live = self.live();
        if live.generation == generation && live.connection.take().is_some() {
            self.broken.notify_one();
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("nothing panics while it holds this lock")
    }
}

/// Adds a command that counts as a write and changes nothing. A server that became a replica
/// refuses it, but would accept PUBLISH.
pub(super) fn write_nothing(pipeline: &mut Pipeline, stream: &str) {
    pipeline.cmd("XACK").arg(stream).arg(GROUP).arg("0-0").ignore();
}

async fn mend(shared: Arc<ConnectionState>) {
    loop {
        shared.broken.notified().await;
        let mut backoff = Backoff::AWAY;
        let connection = loop {
            backoff.wait().await;
            metrics::counter!(galley_telemetry::BUS_RECONNECTS).increment(1);
            if let Ok(connection) = shared.greet().await {
                break connection;
            }
        };
        let mut live = shared.live();
        // A late error of the old connection must not end the new one.
        live.generation += 1;
        live.connection = Some(connection);
    }
}
