//! A connection to one node, which ends when its last clone is dropped.

use std::sync::Arc;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture, Value};
use tokio_util::task::AbortOnDropHandle;

/// A connection, and the task that moves its bytes. The task alone would wait for the answers of a
/// silent server.
#[derive(Clone)]
pub(super) struct NodeConnection {
    connection: MultiplexedConnection,
    _driver: Arc<AbortOnDropHandle<()>>,
}

impl NodeConnection {
    pub(super) fn new(
        connection: MultiplexedConnection,
        driver: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let driver = Arc::new(AbortOnDropHandle::new(tokio::spawn(driver)));
        Self { connection, _driver: driver }
    }
}

impl ConnectionLike for NodeConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.connection.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}
