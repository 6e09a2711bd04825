//! The forms of `REDIS_URL`. No error contains any part of the URL, because it may hold a password.

use galley_protocol::network::is_host;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

use crate::BusConnectError;

/// The port of a Sentinel.
const SENTINEL_PORT: u16 = 26_379;

const FORMS: &str = "it must look like redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], \
    redis+unix:///PATH or redis+sentinel://HOST[:PORT],HOST[:PORT]/SERVICE, with rediss instead of \
    redis for TLS, and special characters of user and password percent-encoded";

/// A parsed `REDIS_URL`.
#[derive(Clone, Debug)]
pub(super) enum RedisAddress {
    /// One server, or one node of a cluster: the server itself says which.
    Server(Box<ConnectionInfo>),
    /// At least two nodes of a cluster.
    Cluster(Vec<ConnectionInfo>),
    /// The Sentinels of a service.
    Sentinel(SentinelAddress),
}

/// The address of a service behind Sentinels.
#[derive(Clone, Debug)]
pub(super) struct SentinelAddress {
    /// The Sentinels, with user, password and TLS of the URL.
    pub(super) sentinels: Vec<ConnectionInfo>,
    pub(super) service: String,
    /// The number of the database on the master.
    pub(super) database: i64,
}

impl RedisAddress {
    /// Parses a URL.
    pub(super) fn parse(url: &str) -> Result<Self, BusConnectError> {
        Self::read(url.trim()).map_err(|why| BusConnectError::BadUrl(why.to_owned()))
    }

    fn read(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or(FORMS)?;
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "unix" | "redis+unix" | "valkey+unix" => {
                node(&format!("unix://{rest}")).map(Box::new).map(Self::Server)
            }
            "redis+sentinel" | "valkey+sentinel" => service("redis", rest).map(Self::Sentinel),
            "rediss+sentinel" | "valkeys+sentinel" => service("rediss", rest).map(Self::Sentinel),
            "redis" | "valkey" => servers("redis", rest),
            "rediss" | "valkeys" => servers("rediss", rest),
            _ => Err(FORMS),
        }
    }

    /// Returns true if connections to it use TLS.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self.first().addr(), ConnectionAddr::TcpTls { .. })
    }

    /// Returns the first server to connect to.
    pub(super) fn first(&self) -> &ConnectionInfo {
        match self {
            Self::Server(node) => node,
            Self::Cluster(nodes) | Self::Sentinel(SentinelAddress { sentinels: nodes, .. }) => {
                &nodes[0]
            }
        }
    }

    /// Returns the address for logs, without user and password.
    pub(super) fn place(&self) -> String {
        let list = |nodes: &[ConnectionInfo]| {
            nodes.iter().map(|node| shown(node.addr())).collect::<Vec<_>>().join(",")
        };
        match self {
            Self::Server(node) => format!("Redis at {}", shown(node.addr())),
            Self::Cluster(nodes) => format!("Redis Cluster at {}", list(nodes)),
            Self::Sentinel(SentinelAddress { sentinels, service, .. }) => {
                format!("Redis service '{service}' of the Sentinels at {}", list(sentinels))
            }
        }
    }
}

/// Reads one server, or the nodes of a cluster. Nodes after the first may omit everything before
/// the host, and take it from the first.
fn servers(scheme: &str, rest: &str) -> Result<RedisAddress, &'static str> {
    let mut urls = rest.split(',').map(str::trim);
    let first = urls.next().unwrap_or_default();
    let login = first.rfind('@').map_or("", |end| &first[..=end]);
    let mut nodes = vec![node(&format!("{scheme}://{first}"))?];
    for url in urls {
        let whole =
            if url.contains("://") { url.to_owned() } else { format!("{scheme}://{login}{url}") };
        nodes.push(node(&whole)?);
    }
    if nodes.len() == 1 {
        return Ok(RedisAddress::Server(Box::new(nodes.remove(0))));
    }
    if nodes.iter().any(|node| node.redis_settings().db() != 0) {
        return Err("several nodes are a Redis Cluster, which has only the database 0");
    }
    if nodes.iter().any(|node| matches!(node.addr(), ConnectionAddr::Unix(_))) {
        return Err("several nodes are a Redis Cluster, which Unix sockets do not reach");
    }
    Ok(RedisAddress::Cluster(nodes))
}

/// Reads `[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]/SERVICE[/DATABASE]`.
fn service(scheme: &str, rest: &str) -> Result<SentinelAddress, &'static str> {
    let missing = "it must name the service: redis+sentinel://HOST[:PORT],HOST[:PORT]/SERVICE";
    let (authority, path) = rest.split_once('/').ok_or(missing)?;
    let (service, database) = path.split_once('/').unwrap_or((path, "0"));
    if service.is_empty() {
        return Err(missing);
    }
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let database = database.parse().ok().filter(|number| (0..=MOST_DATABASES).contains(number));
    let (true, Some(database)) = (service.chars().all(letter), database) else {
        return Err(FORMS);
    };
    let (login, hosts) =
        authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    let sentinel = |host: &str| {
        let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = if has_port { String::new() } else { format!(":{SENTINEL_PORT}") };
        node(&format!("{scheme}://{login}{host}{port}"))
    };
    let sentinels = hosts.split(',').map(str::trim).map(sentinel).collect::<Result<_, _>>()?;
    Ok(SentinelAddress { sentinels, service: service.to_owned(), database })
}

/// The greatest number of a database that is worth asking the server for.
const MOST_DATABASES: i64 = i32::MAX as i64;

fn node(text: &str) -> Result<ConnectionInfo, &'static str> {
    let url = redis::parse_redis_url(text).ok_or(FORMS)?;
    let is_socket = url.scheme().contains("unix");
    if url.fragment().is_some() {
        return Err("it has a part behind #, which Galley does not know; a # in a password is %23");
    }
    let known = |name: &str| is_socket && ["db", "user", "pass"].contains(&name);
    if url.query_pairs().any(|(name, _)| !known(&name)) {
        return Err(
            "it has a parameter behind ? that Galley does not know; a ? in a password is %3F",
        );
    }
    let node = url.into_connection_info().map_err(|_| FORMS)?;
    let settings = node.redis_settings().clone();
    if !has_host(node.addr()) || !(0..=MOST_DATABASES).contains(&settings.db()) {
        return Err(FORMS);
    }
    // A user without a password logs in with an empty one, instead of not at all.
    let is_bare = settings.username().is_some() && settings.password().is_none();
    Ok(if is_bare { node.set_redis_settings(settings.set_password("")) } else { node })
}

/// Formats an address. An IPv6 address needs brackets, because its last part would look like a
/// port.
pub(super) fn shown(place: &ConnectionAddr) -> String {
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
    use super::{RedisAddress, SentinelAddress};
    use crate::BusConnectError;

    fn parse(url: &str) -> RedisAddress {
        RedisAddress::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn each_form_leads_to_its_place_without_its_password() {
        for (url, place, is_tls) in [
            ("redis://me:secret@[::1]:7000/2", "Redis at [::1]:7000", false),
            (" valkey://localhost ", "Redis at localhost:6379", false),
            ("VALKEYS://localhost", "Redis at localhost:6379", true),
            ("rediss://:secret@10.0.0.1", "Redis at 10.0.0.1:6379", true),
            ("unix:///run/redis.sock", "Redis at /run/redis.sock", false),
            ("redis+unix:///r%20s?db=1&user=me&pass=secret", "Redis at /r s", false),
            ("redis://:secret@a,b:7001", "Redis Cluster at a:6379,b:7001", false),
            ("rediss://a:1,redis://b:2,c", "Redis Cluster at a:1,b:2,c:6379", true),
            (
                "redis+sentinel://me:secret@a,[::1],b:7/main",
                "Redis service 'main' of the Sentinels at a:26379,[::1]:26379,b:7",
                false,
            ),
            ("valkeys+sentinel://a/m/3", "Redis service 'm' of the Sentinels at a:26379", true),
        ] {
            let address = parse(url);
            assert_eq!((address.place().as_str(), address.is_tls()), (place, is_tls), "{url}");
        }
    }

    #[test]
    fn login_and_database_are_those_of_the_url() {
        let login = |url: &str| {
            let address = parse(url);
            let settings = address.first().redis_settings().clone();
            let text = |text: Option<&str>| text.map(str::to_owned);
            (text(settings.username()), text(settings.password()), settings.db())
        };
        let whole = (Some("me".to_owned()), Some("a@b".to_owned()), 2);
        assert_eq!(login("redis://me:a%40b@host/2"), whole);
        assert_eq!(login("redis+unix:///path?db=2&user=me&pass=a%40b"), whole);
        assert_eq!(login("redis://me@host").1, Some(String::new()));
        let RedisAddress::Cluster(nodes) = parse("redis://me:a%40b@a:1,b:2") else { panic!() };
        assert_eq!(nodes[1].redis_settings().password(), Some("a@b"));
        let service = parse("redis+sentinel://:x@a,b/main/7");
        let RedisAddress::Sentinel(SentinelAddress { sentinels, database, .. }) = service else {
            panic!()
        };
        assert_eq!((sentinels[1].redis_settings().password(), database), (Some("x"), 7));
    }

    #[test]
    fn a_bad_url_is_refused_without_telling_its_password() {
        for url in [
            "",
            "localhost",
            "http://:secret@localhost",
            "redis://:secret@127.0.0.256",
            "redis://:secret@a..b",
            "redis://:secret@",
            "redis://:secret@host:port",
            "redis://:secret@host/-1",
            "redis://:secret@host/main",
            "redis://:secret@host#insecure",
            "redis://host?password=secret",
            "redis://me:1?secret@host",
            "redis://:secret@a,redis://:secret@b:x",
            "redis://:secret@a,b/1",
            "redis://a,redis+unix:///path?pass=secret",
            "redis+unix://",
            "redis+unix://host/path?pass=secret",
            "redis+unix:///path?pass=secret&database=1",
            "redis+sentinel://:secret@a,b",
            "redis+sentinel://:secret@a,b/",
            "redis+sentinel://:secret@a,b/main/x",
            "redis+sentinel://:secret@/main",
            "redis+sentinel://:secret@a,,b/main",
            "redis+sentinel://a/main?sentinel=secret",
        ] {
            let Err(BusConnectError::BadUrl(why)) = RedisAddress::parse(url) else {
                panic!("{url}")
            };
            assert!(!why.contains("secret") && !why.contains('\n'), "{why}");
        }
    }
}
