//! Where Redis is, and connections to it: one server or a cluster behind one type.

use std::time::Duration;

use galley_protocol::network::is_host;
use redis::aio::{AsyncPushSender, ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline, ProtocolVersion,
    RedisError, RedisFuture, RedisResult, Value,
};

use crate::connect::ConnectError;

/// How long a connection may take to come about, its greeting included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Where Redis is.
#[derive(Debug)]
pub(super) enum Nodes {
    /// One server.
    One(Box<ConnectionInfo>),
    /// Some nodes of a cluster.
    Cluster(Vec<ConnectionInfo>),
}

/// A connection whose clones share it.
#[derive(Clone)]
pub(super) enum Wire {
    /// To one server.
    One(MultiplexedConnection),
    /// To every node of a cluster.
    Cluster(ClusterConnection),
}

impl Nodes {
    /// Reads a URL. Nodes after the first may leave out what comes before the host; they take it from the first.
    pub(super) fn parse(url: &str) -> Result<Self, ConnectError> {
        let bad = |why: &str| ConnectError::BadUrl(why.to_owned());
        let urls: Vec<&str> = url.split(',').map(str::trim).collect();
        let first = urls.first().copied().unwrap_or_default();
        if !(first.starts_with("redis://") || first.starts_with("rediss://")) {
            return Err(bad("it must begin with redis:// or rediss://"));
        }
        let host = first.rfind('@').or_else(|| first.find("://").map(|scheme| scheme + 2)).map_or(0, |end| end + 1);
        let node = |url: &&str| {
            let whole = if url.contains("://") { (*url).to_owned() } else { format!("{}{url}", &first[..host]) };
            let node = whole.into_connection_info().ok().filter(|node| has_host(node.addr()));
            node.ok_or_else(|| bad("it must look like redis://[user:password@]host[:port][/database]"))
        };
        let mut nodes = urls.iter().map(node).collect::<Result<Vec<_>, _>>()?;
        match nodes.len() {
            1 => Ok(Self::One(Box::new(nodes.remove(0)))),
            _ => Ok(Self::Cluster(nodes)),
        }
    }

    /// Whether this is a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Where it is, for people: without user and password.
    pub(super) fn place(&self) -> String {
        match self {
            Self::One(node) => format!("Redis at {}", shown(node.addr())),
            Self::Cluster(nodes) => {
                let places: Vec<String> = nodes.iter().map(|node| shown(node.addr())).collect();
                format!("Redis Cluster at {}", places.join(","))
            }
        }
    }

    /// Connects and waits for an answer. A node of a cluster that refuses says so better than the cluster's client does.
    pub(super) async fn greet(&self, patience: Duration) -> RedisResult<Wire> {
        let greeted = async {
            let mut wire = self.open(patience).await?;
            redis::cmd("PING").exec_async(&mut wire).await.map(|()| wire)
        };
        match (greeted.await, self) {
            (Err(error), Self::Cluster(nodes)) => Err(refusal(nodes, patience).await.unwrap_or(error)),
            (outcome, _) => outcome,
        }
    }

    /// Connects; every answer then takes at most `patience`.
    pub(super) async fn open(&self, patience: Duration) -> RedisResult<Wire> {
        match self {
            Self::One(node) => {
                in_time(Client::open(node.as_ref().clone())?.get_multiplexed_async_connection_with_config(&one(patience)))
                    .await
                    .map(Wire::One)
            }
            Self::Cluster(nodes) => {
                let client = cluster(nodes, patience).build()?;
                in_time(client.get_async_connection()).await.map(Wire::Cluster)
            }
        }
    }

    /// Connects such that what the server says by itself goes to `ear`.
    pub(super) async fn open_listening(&self, patience: Duration, ear: impl AsyncPushSender) -> RedisResult<Wire> {
        match self {
            Self::One(node) => {
                let settings = node.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
                let client = Client::open(node.as_ref().clone().set_redis_settings(settings))?;
                let config = one(patience).set_push_sender(ear);
                in_time(client.get_multiplexed_async_connection_with_config(&config)).await.map(Wire::One)
            }
            Self::Cluster(nodes) => {
                let builder = cluster(nodes, patience).use_protocol(ProtocolVersion::RESP3).push_sender(ear);
                in_time(builder.build()?.get_async_connection()).await.map(Wire::Cluster)
            }
        }
    }
}

/// An address of IPv6 stands in brackets, or its last part looks like a port.
fn shown(place: &ConnectionAddr) -> String {
    if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = place
        && host.contains(':')
    {
        return format!("[{}]:{port}", host.trim_start_matches('[').trim_end_matches(']'));
    }
    place.to_string()
}

/// Returns true if the host can be one; a Unix socket needs none.
fn has_host(place: &ConnectionAddr) -> bool {
    let (ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) = place else { return true };
    is_host(host.trim_start_matches('[').trim_end_matches(']'))
}

/// Returns the refusal of the first node that answers and lets nobody in.
async fn refusal(nodes: &[ConnectionInfo], patience: Duration) -> Option<RedisError> {
    for node in nodes {
        let greet = async {
            let client = Client::open(node.clone())?;
            let mut wire = client.get_multiplexed_async_connection_with_config(&one(patience)).await?;
            redis::cmd("PING").exec_async(&mut wire).await
        };
        if let Err(error) = in_time(greet).await
            && !error.is_io_error()
        {
            return Some(error);
        }
    }
    None
}

fn one(patience: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT)).set_response_timeout(Some(patience))
}

/// A cluster's client looks for a slot that moved a few times, within the same patience.
fn cluster(nodes: &[ConnectionInfo], patience: Duration) -> ClusterClientBuilder {
    ClusterClientBuilder::new(nodes.to_vec())
        .retries(4)
        .min_retry_wait(10)
        .max_retry_wait(250)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(patience)
        .overall_response_timeout(Some(patience))
}

async fn in_time<T>(connecting: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = || RedisError::from((ErrorKind::Io, "Redis did not greet in time"));
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| late())?
}

impl Wire {
    /// Whether this connection is of no more use after the error. A cluster's connection mends itself.
    pub(super) fn is_broken_by(&self, error: &RedisError) -> bool {
        matches!(self, Self::One(_)) && (error.is_io_error() || error.is_unrecoverable_error())
    }

    /// Listens to a channel; confirmed when this returns.
    pub(super) async fn listen_to(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::One(wire) => wire.subscribe(channel).await,
            Self::Cluster(wire) => wire.ssubscribe(channel).await,
        }
    }
}

impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(wire) => wire.req_packed_command(cmd),
            Self::Cluster(wire) => wire.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(&'a mut self, pipeline: &'a Pipeline, offset: usize, count: usize) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(wire) => wire.req_packed_commands(pipeline, offset, count),
            Self::Cluster(wire) => wire.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(wire) => wire.get_db(),
            Self::Cluster(wire) => wire.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Nodes;
    use crate::connect::ConnectError;

    #[test]
    fn commas_make_a_cluster() {
        assert!(matches!(Nodes::parse("redis://localhost"), Ok(Nodes::One(_))));
        let Ok(Nodes::Cluster(nodes)) = Nodes::parse("rediss://me:secret@a:7000,b:7001, rediss://c:7002") else {
            panic!("a cluster")
        };
        let places: Vec<String> = nodes.iter().map(|node| node.addr().to_string()).collect();
        assert_eq!(places, ["a:7000", "b:7001", "c:7002"]);
        assert_eq!(nodes[1].redis_settings().password(), Some("secret"));
    }

    #[test]
    fn a_place_is_shown_without_its_password() {
        let place = |url| Nodes::parse(url).expect("a URL").place();
        assert_eq!(place("redis://me:secret@[::1]:7000/2"), "Redis at [::1]:7000");
        assert_eq!(place("redis://:secret@a,b:7001"), "Redis Cluster at a:6379,b:7001");
    }

    #[test]
    fn a_bad_url_is_refused_without_telling_its_password() {
        for url in [
            "",
            "http://localhost",
            "redis://:secret@127.0.0.256",
            "redis://:secret@a..b",
            "redis://:secret@",
            "redis://:secret@host:port",
            "redis://:secret@a,redis://:secret@b:x",
        ] {
            let Err(ConnectError::BadUrl(why)) = Nodes::parse(url) else { panic!("{url}") };
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
