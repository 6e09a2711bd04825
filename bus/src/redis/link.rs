//! The shared connection for everything that answers at once.
//!
//! Everybody in the process uses it at the same time. A call fails at once while there is no connection: nobody waits behind a
//! Redis that is away. A task of its own connects again, with back-off; it ends with the link.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redis::{FromRedisValue, Pipeline, RedisResult};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::nodes::{Nodes, Wire};
use crate::{Backoff, BusError};

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The shared connection.
pub(super) struct Link {
    shared: Arc<Shared>,
    _mender: AbortOnDropHandle<()>,
}

struct Shared {
    nodes: Arc<Nodes>,
    live: Mutex<Live>,
    broken: Notify,
}

/// The connection, and how many there were before it.
struct Live {
    wire: Option<Wire>,
    generation: u64,
}

impl Link {
    /// Connects for the first time, and makes sure that Redis lets this process in.
    pub(super) async fn open(nodes: Arc<Nodes>) -> RedisResult<Self> {
        let live = Live { wire: Some(nodes.greet(PATIENCE).await?), generation: 0 };
        let shared = Arc::new(Shared { nodes, live: Mutex::new(live), broken: Notify::new() });
        let mender = AbortOnDropHandle::new(tokio::spawn(mend(Arc::clone(&shared))));
        Ok(Self { shared, _mender: mender })
    }

    /// Sends a pipeline and reads the answers.
    pub(super) async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, BusError> {
        let (generation, wire) = {
            let live = self.shared.live();
            (live.generation, live.wire.clone())
        };
        let mut wire = wire.ok_or_else(|| BusError::Unreachable("not connected".to_owned()))?;
        match pipeline.query_async(&mut wire).await {
            Ok(answers) => Ok(answers),
            Err(error) => {
                if wire.is_broken_by(&error) {
                    self.shared.lose(generation);
                }
                Err(error.into())
            }
        }
    }
}

impl Shared {
    fn lose(&self, generation: u64) {
        let mut live = self.live();
        if live.generation == generation && live.wire.take().is_some() {
            self.broken.notify_one();
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().expect("nothing panics while it holds this lock")
    }
}

async fn mend(shared: Arc<Shared>) {
    loop {
        shared.broken.notified().await;
        let mut backoff = Backoff::AWAY;
        let wire = loop {
            backoff.wait().await;
            metrics::counter!("galley_bus_reconnects_total").increment(1);
            if let Ok(wire) = shared.nodes.greet(PATIENCE).await {
                break wire;
            }
        };
        let mut live = shared.live();
        live.generation += 1;
        live.wire = Some(wire);
    }
}
