//! The dispatch queue in Redis, for tests that look at the entries of a dead process or add entries
//! and messages that the service would not. Its names are documented in `bus/src/redis.rs`.

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ToRedisArgs};

use crate::patience::within;

/// The stream of one service on one Redis server.
pub struct DispatchQueue {
    connection: MultiplexedConnection,
    stream: String,
    channel: String,
}

impl DispatchQueue {
    /// Connects to the queue of a namespace.
    pub async fn open(url: &str, namespace: &str) -> Self {
        let client = redis::Client::open(url).expect("a URL");
        let connection = within("Redis", client.get_multiplexed_async_connection())
            .await
            .expect("it is running");
        let name = |kind| format!("{namespace}:{kind}:{{00}}");
        Self { connection, stream: name("orders"), channel: name("updates") }
    }

    /// The channel of updates.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Publishes a message on the channel of updates.
    pub async fn publish(&mut self, message: &str) {
        let mut command = redis::cmd("PUBLISH");
        self.ask::<usize>(command.arg(&self.channel).arg(message)).await;
    }

    /// Adds an entry with these names and values.
    pub async fn add(&mut self, fields: &[impl ToRedisArgs]) {
        let mut command = redis::cmd("XADD");
        self.ask::<String>(command.arg(&self.stream).arg("*").arg(fields)).await;
    }

    /// The number of entries, read or not.
    pub async fn length(&mut self) -> usize {
        let mut command = redis::cmd("XLEN");
        self.ask(command.arg(&self.stream)).await
    }

    /// The number of entries that are read and not acknowledged.
    pub async fn pending(&mut self) -> usize {
        let mut command = redis::cmd("XPENDING");
        let (pending, ..): (usize, redis::Value, redis::Value, redis::Value) =
            self.ask(command.arg(&self.stream).arg("workers")).await;
        pending
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &redis::Cmd) -> T {
        within("Redis", command.query_async(&mut self.connection)).await.expect("an answer")
    }
}
