//! The servers of a Redis and connections to them: one server, a cluster, or a service of Sentinels
//! behind one type.

use std::time::Duration;

use redis::aio::AsyncPushSender;
use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo, RedisError, RedisResult, Value};

use super::cluster::Cluster;
use super::dial::Dialer;
use super::node_connection::NodeConnection;
use super::redis_address::{RedisAddress, SentinelAddress};
use super::redis_failure::of_connecting;
use super::{reply, sentinels};
use crate::BusConnectError;

/// The longest wait for the answer of a server about itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// The servers of a Redis.
pub(super) struct Nodes {
    address: RedisAddress,
    dialer: Dialer,
    kind: NodesKind,
}

enum NodesKind {
    /// One server. Its name is resolved for each connection.
    One(Box<ConnectionInfo>),
    Cluster(Cluster),
    /// The master is asked for before each connection.
    Sentinel(SentinelAddress),
}

impl Nodes {
    /// Finds out what the address leads to: a single URL may be that of a cluster's node.
    pub(super) async fn find(
        address: RedisAddress,
        dialer: Dialer,
    ) -> Result<Self, BusConnectError> {
        let kind = match &address {
            RedisAddress::Server(node) => NodesKind::One(node.clone()),
            RedisAddress::Cluster(seeds) => NodesKind::Cluster(Cluster::new(seeds.clone())),
            RedisAddress::Sentinel(service) => NodesKind::Sentinel(service.clone()),
        };
        let nodes = Self { address, dialer, kind };
        let RedisAddress::Server(node) = &nodes.address else { return Ok(nodes) };
        let mode = match nodes.mode(node).await {
            Ok(mode) => mode,
            Err(error) => return Err(nodes.explain(&error).await),
        };
        let refused = |why| Err(BusConnectError::Refused(format!("{} {why}", nodes.place())));
        let is_socket = matches!(node.addr(), ConnectionAddr::Unix(_));
        match mode.as_deref() {
            Some("sentinel") => {
                refused("is a Sentinel: use redis+sentinel://HOST/SERVICE in REDIS_URL")
            }
            Some("cluster") if is_socket => {
                refused("is a node of a Redis Cluster: use its host and port in REDIS_URL")
            }
            Some("cluster") if node.redis_settings().db() != 0 => refused(
                "is a node of a Redis Cluster, which has only the database 0: see REDIS_URL",
            ),
            Some("cluster") => {
                tracing::info!(server = nodes.place(), "the server is a node of a Redis Cluster");
                let kind = NodesKind::Cluster(Cluster::new(vec![node.as_ref().clone()]));
                Ok(Self { kind, ..nodes })
            }
            _ => Ok(nodes),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.kind, NodesKind::Cluster(_))
    }

    /// Returns the address for logs, without user and password.
    pub(super) fn place(&self) -> String {
        self.address.place()
    }

    /// Takes another user and password for further connections.
    pub(super) fn renew_login(&self, login: &RedisConnectionInfo) {
        self.dialer.renew_login(login);
    }

    /// Connects to the server that holds a slot, with a response time-out of `patience`.
    pub(super) async fn connect(
        &self,
        slot: u16,
        patience: Duration,
    ) -> RedisResult<NodeConnection> {
        self.dialer.connect(&self.holder(slot).await?, patience).await
    }

    /// Like [`Self::connect`]; messages that the server pushes go to `receiver`.
    pub(super) async fn connect_listening(
        &self,
        slot: u16,
        patience: Duration,
        receiver: impl AsyncPushSender,
    ) -> RedisResult<NodeConnection> {
        self.dialer.connect_listening(&self.holder(slot).await?, patience, receiver).await
    }

    /// Returns why connecting failed, and what to do about it.
    pub(super) async fn explain(&self, error: &RedisError) -> BusConnectError {
        let explained = of_connecting(&self.place(), error);
        // A server that breaks off or stays silent may expect TLS, or expect none.
        if matches!(explained, BusConnectError::Unreachable(_))
            && !error.is_connection_refusal()
            && let Some(why) = self.dialer.mistaken_scheme(self.address.first().addr()).await
        {
            return BusConnectError::Refused(format!("cannot use {}: {why}", self.place()));
        }
        explained
    }

    async fn holder(&self, slot: u16) -> RedisResult<ConnectionInfo> {
        match &self.kind {
            NodesKind::One(node) => Ok(node.as_ref().clone()),
            NodesKind::Cluster(cluster) => cluster.holder(&self.dialer, slot).await,
            NodesKind::Sentinel(service) => sentinels::master(&self.dialer, service).await,
        }
    }

    /// Asks a server what it is: `standalone`, `cluster` or `sentinel`. HELLO needs no permission.
    async fn mode(&self, node: &ConnectionInfo) -> RedisResult<Option<String>> {
        let mut connection = self.dialer.connect(node, PATIENCE).await?;
        let answer: Value = redis::cmd("HELLO").query_async(&mut connection).await?;
        let texts = reply::texts(&answer);
        let mode = texts.windows(2).find(|pair| pair[0] == "mode");
        Ok(mode.map(|pair| pair[1].to_owned()))
    }
}
