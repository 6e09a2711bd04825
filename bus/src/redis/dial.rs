//! Connections to one node.

use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, ProtocolVersion, RedisError,
    RedisResult,
};

/// The longest time to establish a connection, its handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects to a node, with a response time-out of `patience`.
pub(super) async fn connect(
    node: ConnectionInfo,
    patience: Duration,
) -> RedisResult<MultiplexedConnection> {
    in_time(Client::open(node)?.get_multiplexed_async_connection_with_config(&config(patience)))
        .await
}

/// Like [`connect`], with RESP3: messages that the server pushes go to `receiver`.
pub(super) async fn connect_listening(
    node: ConnectionInfo,
    patience: Duration,
    receiver: impl AsyncPushSender,
) -> RedisResult<MultiplexedConnection> {
    let settings = node.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(node.set_redis_settings(settings))?;
    let config = config(patience).set_push_sender(receiver);
    in_time(client.get_multiplexed_async_connection_with_config(&config)).await
}

fn config(patience: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(patience))
}

async fn in_time<T>(connecting: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = || RedisError::from((ErrorKind::Io, "Redis did not greet in time"));
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| late())?
}
