//! The address of Redis and connections to it: one server or a cluster behind one type.

use std::time::Duration;

use galley_protocol::network::is_host;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult};

use super::cluster::Cluster;
use super::dial::{connect, connect_listening};
use crate::BusConnectError;

/// The address of Redis.
#[derive(Debug)]
pub(super) enum Nodes {
    /// One server. Its name is resolved for each connection.
    One(Box<ConnectionInfo>),
    /// The nodes of a cluster.
    Cluster(Cluster),
}

impl Nodes {
    /// Parses a URL. Nodes after the first may omit everything before the host, and take it from
    /// the first.
    pub(super) fn parse(url: &str) -> Result<Self, BusConnectError> {
        let bad = |why: &str| BusConnectError::BadUrl(why.to_owned());
        let urls: Vec<&str> = url.split(',').map(str::trim).collect();
        let first = urls.first().copied().unwrap_or_default();
        if !(first.starts_with("redis://") || first.starts_with("rediss://")) {
            return Err(bad("it must begin with redis:// or rediss://"));
        }
        // The end of the scheme and the credentials of the first node.
        let host = first
            .rfind('@')
            .or_else(|| first.find("://").map(|scheme| scheme + 2))
            .map_or(0, |end| end + 1);
        let node = |url: &&str| {
            let whole = if url.contains("://") {
                (*url).to_owned()
            } else {
                format!("{}{url}", &first[..host])
            };
            let node = whole.into_connection_info().ok().filter(|node| has_host(node.addr()));
            node.ok_or_else(|| {
                bad("it must look like redis://[user:password@]host[:port][/database]")
            })
        };
        let mut nodes = urls.iter().map(node).collect::<Result<Vec<_>, _>>()?;
        match nodes.len() {
            1 => Ok(Self::One(Box::new(nodes.remove(0)))),
            _ => Ok(Self::Cluster(Cluster::new(nodes))),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Returns the address for logs, without user and password.
    pub(super) fn place(&self) -> String {
        match self {
            Self::One(node) => format!("Redis at {}", shown(node.addr())),
            Self::Cluster(cluster) => {
                let places: Vec<String> =
                    cluster.seeds().iter().map(|node| shown(node.addr())).collect();
                format!("Redis Cluster at {}", places.join(","))
            }
        }
    }

    /// Connects to the server that holds a slot, with a response time-out of `patience`.
    pub(super) async fn connect(
        &self,
        slot: u16,
        patience: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        connect(self.holder(slot).await?, patience).await
    }

    /// Like [`Self::connect`]; messages that the server pushes go to `receiver`.
    pub(super) async fn connect_listening(
        &self,
        slot: u16,
        patience: Duration,
        receiver: impl AsyncPushSender,
    ) -> RedisResult<MultiplexedConnection> {
        let node = self.holder(slot).await?;
        connect_listening(node, patience, receiver).await
    }

    async fn holder(&self, slot: u16) -> RedisResult<ConnectionInfo> {
        match self {
            Self::One(node) => Ok(node.as_ref().clone()),
            Self::Cluster(cluster) => cluster.holder(slot).await,
        }
    }
}

/// Formats an address. An IPv6 address needs brackets, because its last part would look like a
/// port.
fn shown(place: &ConnectionAddr) -> String {
    if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = place
        && host.contains(':')
    {
        return format!("[{}]:{port}", host.trim_start_matches('[').trim_end_matches(']'));
    }
    place.to_string()
}

/// Returns true if the host is well-formed. A Unix socket needs none.
fn has_host(place: &ConnectionAddr) -> bool {
    let (ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) = place else {
        return true;
    };
    is_host(host.trim_start_matches('[').trim_end_matches(']'))
}

#[cfg(test)]
mod tests {
    use super::Nodes;
    use crate::BusConnectError;

    #[test]
    fn commas_make_a_cluster() {
        assert!(matches!(Nodes::parse("redis://localhost"), Ok(Nodes::One(_))));
        let Ok(Nodes::Cluster(cluster)) =
            Nodes::parse("rediss://me:secret@a:7000,b:7001, rediss://c:7002")
        else {
            panic!("a cluster")
        };
        let nodes = cluster.seeds();
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
            let Err(BusConnectError::BadUrl(why)) = Nodes::parse(url) else { panic!("{url}") };
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
