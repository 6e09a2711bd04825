//! The textual form of an address to listen on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// The longest path of a Unix socket, in bytes (`sun_path` of Linux with its zero).
const MAX_PATH: usize = 107;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `:8080`: every address of the machine, IPv4 and IPv6.
    Every(u16),
    /// `localhost:8080`: the loopback addresses, IPv4 and IPv6.
    Localhost(u16),
    /// `127.0.0.1:8080`, `[::1]:8080`; `8080` means the first.
    Ip(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}

/// The place at which a client on this machine reaches an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReachedAt {
    /// An `http://` URL.
    Url(String),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A text that is not such an address.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{hint}must be IP:PORT such as 127.0.0.1:8080, localhost:8080, 8080 (127.0.0.1), :8080 (every address) or unix:/PATH"
)]
pub struct BadAddress {
    hint: &'static str,
}

impl ListenAddress {
    /// Returns true if only this machine can reach the address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Every(_) => false,
            Self::Localhost(_) | Self::Unix(_) => true,
            Self::Ip(address) => address.ip().to_canonical().is_loopback(),
        }
    }

    /// Returns the place at which a client on this machine reaches the address; `None` for port 0,
    /// which is known only once the program listens.
    #[must_use]
    pub fn reached_at(&self) -> Option<ReachedAt> {
        let (host, port) = match self {
            Self::Unix(path) => return Some(ReachedAt::Unix(path.clone())),
            Self::Every(port) | Self::Localhost(port) => ("localhost".to_owned(), *port),
            Self::Ip(address) => {
                let ip = match address.ip() {
                    any if !any.is_unspecified() => any,
                    IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                    IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
                };
                let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
                (host, address.port())
            }
        };
        (port != 0).then(|| ReachedAt::Url(format!("http://{host}:{port}")))
    }
}

impl FromStr for ListenAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let bad = |hint| BadAddress { hint };
        let Some((host, port)) = text.rsplit_once(':') else {
            let port = parse_port(text)
                .map_err(|_| bad(if text.is_empty() { "" } else { "the port is missing: " }))?;
            return Ok(Self::Ip((Ipv4Addr::LOCALHOST, port).into()));
        };
        if text.contains("://") {
            return Err(bad("not a URL: "));
        }
        if host.parse::<Ipv6Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok() {
            return Err(bad("an IPv6 address stands in brackets, as in [::1]:8080: "));
        }
        let port = parse_port(port)?;
        match host {
            "" => Ok(Self::Every(port)),
            host if host.eq_ignore_ascii_case("localhost") => Ok(Self::Localhost(port)),
            _ => Err(bad("")),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, BadAddress> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_number.then(|| text.parse().ok()).flatten();
    port.ok_or(BadAddress { hint: if is_number { "a port is at most 65535: " } else { "" } })
}

fn unix(path: &str) -> Result<ListenAddress, BadAddress> {
    let path = path.strip_prefix("//").unwrap_or(path);
    match path.len() {
        0 => Err(BadAddress { hint: "the path is missing: " }),
        _ if path.ends_with('/') => Err(BadAddress { hint: "the path is a folder: " }),
        length if length > MAX_PATH => {
            Err(BadAddress { hint: "the path of a Unix socket has at most 107 bytes: " })
        }
        _ => Ok(ListenAddress::Unix(path.into())),
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(port) => write!(formatter, ":{port}"),
            Self::Localhost(port) => write!(formatter, "localhost:{port}"),
            Self::Ip(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ListenAddress, ReachedAt};

    #[test]
    fn each_way_to_write_an_address_says_who_reaches_it_and_where() {
        for (text, shown, local, reached) in [
            ("8080", "127.0.0.1:8080", true, "http://127.0.0.1:8080"),
            (" 127.0.0.1:8080 ", "127.0.0.1:8080", true, "http://127.0.0.1:8080"),
            ("127.0.0.2:1", "127.0.0.2:1", true, "http://127.0.0.2:1"),
            (":9090", ":9090", false, "http://localhost:9090"),
            ("localhost:9090", "localhost:9090", true, "http://localhost:9090"),
            ("LocalHost:9090", "localhost:9090", true, "http://localhost:9090"),
            ("0.0.0.0:9090", "0.0.0.0:9090", false, "http://127.0.0.1:9090"),
            ("[::]:9090", "[::]:9090", false, "http://[::1]:9090"),
            ("[::1]:9090", "[::1]:9090", true, "http://[::1]:9090"),
            ("[::ffff:127.0.0.1]:9", "[::ffff:127.0.0.1]:9", true, "http://[::ffff:127.0.0.1]:9"),
            ("10.0.0.7:9090", "10.0.0.7:9090", false, "http://10.0.0.7:9090"),
        ] {
            let address: ListenAddress =
                text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (address.to_string().as_str(), address.is_local()),
                (shown, local),
                "{text}"
            );
            assert_eq!(address.reached_at(), Some(ReachedAt::Url(reached.to_owned())), "{text}");
        }
        for (text, path) in [
            ("unix:/run/galley.sock", "/run/galley.sock"),
            ("unix:///run/a", "/run/a"),
            ("unix:a.sock", "a.sock"),
        ] {
            let address: ListenAddress = text.parse().expect("a Unix socket");
            assert!(address.is_local());
            assert_eq!(address.reached_at(), Some(ReachedAt::Unix(path.into())), "{text}");
        }
        for free in ["0", ":0", "localhost:0", "127.0.0.1:0"] {
            assert_eq!(
                free.parse::<ListenAddress>().map(|address| address.reached_at()),
                Ok(None),
                "{free}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_told_what_would_be_one() {
        for (text, hint) in [
            ("nowhere", "the port is missing: "),
            ("127.0.0.1", "the port is missing: "),
            ("65536", "the port is missing: "),
            (":65536", "a port is at most 65535: "),
            ("::1:8080", "an IPv6 address stands in brackets"),
            ("::1", "an IPv6 address stands in brackets"),
            ("http://127.0.0.1:8080", "not a URL: "),
            ("unix:", "the path is missing: "),
            ("unix:/run/", "the path is a folder: "),
            ("example.org:8080", "must be"),
            ("127.0.0.1:", "must be"),
            ("127.0.0.1:+80", "must be"),
            ("-1", ""),
            ("", "must be"),
        ] {
            let error = text.parse::<ListenAddress>().expect_err(text).to_string();
            assert!(error.starts_with(hint) && error.contains("127.0.0.1:8080"), "{text}: {error}");
        }
        let long = format!("unix:/{}", "x".repeat(107));
        assert!(
            long.parse::<ListenAddress>().expect_err("too long").to_string().contains("107 bytes")
        );
    }
}
