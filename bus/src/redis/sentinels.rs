//! The Sentinels of a service, and its master.
//!
//! Each new connection asks all Sentinels at the same time. The first one that names a server that
//! takes itself for the master decides. Connections that exist end when their server is lost or
//! answers READONLY, so that a failover is followed by the connections after it.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value};

use super::dial::Dialer;
use super::redis_address::SentinelAddress;
use super::redis_failure::is_refusal;
use super::reply;

/// The longest wait for the answer of a Sentinel or a master.
const PATIENCE: Duration = Duration::from_secs(1);

/// Returns the master of a service.
pub(super) async fn master(
    dialer: &Dialer,
    address: &SentinelAddress,
) -> RedisResult<ConnectionInfo> {
    let asked = address.sentinels.iter().map(|sentinel| ask(dialer, address, sentinel));
    let mut answers: FuturesUnordered<_> = asked.collect();
    let mut failure: Option<RedisError> = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(master) => return Ok(master),
            Err(error) => failure = failure.filter(is_refusal).or(Some(error)),
        }
    }
    Err(failure.expect("an address has a Sentinel"))
}

async fn ask(
    dialer: &Dialer,
    address: &SentinelAddress,
    sentinel: &ConnectionInfo,
) -> RedisResult<ConnectionInfo> {
    let mut connection = match dialer.connect(sentinel, PATIENCE).await {
        // Often only the master knows the user and the password.
        Err(error) if error.kind() == ErrorKind::AuthenticationFailed => {
            let anyone = sentinel.clone().set_redis_settings(redis::RedisConnectionInfo::default());
            dialer.connect(&anyone, PATIENCE).await?
        }
        connected => connected?,
    };
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(&address.service);
    let named: Option<(String, u16)> = question.query_async(&mut connection).await?;
    let Some((host, port)) = named else {
        return Err((ErrorKind::MasterNameNotFoundBySentinel, "no such service").into());
    };
    let settings = sentinel.redis_settings().clone().set_db(address.database);
    let master =
        sentinel.clone().set_addr(moved(sentinel.addr(), host, port)).set_redis_settings(settings);
    let mut connection = dialer.connect(&master, PATIENCE).await?;
    let role: Value = redis::cmd("ROLE").query_async(&mut connection).await?;
    if reply::texts(&role).first() != Some(&"master") {
        return Err((ErrorKind::Io, "the server that the Sentinel names is no master").into());
    }
    Ok(master)
}

/// Returns the address of another server that is reached in the same way.
pub(super) fn moved(like: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    if let ConnectionAddr::TcpTls { insecure, tls_params, .. } = like {
        let (insecure, tls_params) = (*insecure, tls_params.clone());
        return ConnectionAddr::TcpTls { host, port, insecure, tls_params };
    }
    ConnectionAddr::Tcp(host, port)
}
