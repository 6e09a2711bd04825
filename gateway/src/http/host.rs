//! The host of a request, and the hosts that a gateway answers to.
//!
//! A page whose name was made to lead to this machine (DNS rebinding) has the same origin as the
//! gateway. Only the name gives it away, so names are checked where no token is.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A host in lower case, with its port if one was given. An IPv6 address has its brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub port: Option<u16>,
}

impl Host {
    /// Reads `host` or `host:port` (RFC 9110 section 7.2).
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), rest)
        } else {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            (is_name(name).then(|| name.to_ascii_lowercase())?, rest)
        };
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            Some("") => None,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse().ok()?)
            }
            None | Some(_) => return None,
        };
        Some(Self { name, port })
    }

    /// Returns true for an address, which no name server can redirect, and for the names of this
    /// machine (RFC 6761 section 6.3).
    fn is_fixed(&self) -> bool {
        let name = self.name.trim_end_matches('.');
        let is_address = name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok();
        is_address || name == "localhost" || name.ends_with(".localhost")
    }
}

fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.bytes().all(letter)
}

/// The names that a gateway answers to, besides addresses and the names of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    Any,
    /// A name in lower case; with a dot in front, every name below it.
    These(Vec<String>),
}

impl AllowedHosts {
    /// Parses the setting; an empty one allows any host if callers need tokens.
    pub fn parse(listed: &[String], has_tokens: bool) -> Result<Self, String> {
        let listed: Vec<&str> =
            listed.iter().map(|host| host.trim()).filter(|host| !host.is_empty()).collect();
        if listed.contains(&"*") || (listed.is_empty() && has_tokens) {
            return Ok(Self::Any);
        }
        let read = |text: &&str| {
            let name = text.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(text);
            let host = Host::parse(name).filter(|host| {
                host.port.is_none() && (name.len() < text.len() || !name.starts_with('.'))
            });
            host.map(|host| host.name.trim_end_matches('.').to_owned()).ok_or_else(|| {
                format!("{text:?} is no host: like galley.example.org, *.example.org or *, without a port")
            })
        };
        listed.iter().map(read).collect::<Result<_, _>>().map(Self::These)
    }

    pub fn allows(&self, host: &Host) -> bool {
        let Self::These(listed) = self else { return true };
        let name = host.name.trim_end_matches('.');
        let is_listed = |allowed: &String| {
            if allowed.starts_with('.') {
                name.ends_with(allowed.as_str())
            } else {
                name == allowed
            }
        };
        host.is_fixed() || listed.iter().any(is_listed)
    }
}

#[cfg(test)]
mod tests {
    use super::{AllowedHosts, Host};

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        let parse = |text| Host::parse(text).map(|host| (host.name, host.port));
        for (text, name, port) in [
            ("Galley.Example", "galley.example", None),
            ("galley.example:8443", "galley.example", Some(8443)),
            ("galley.example:", "galley.example", None),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[0:0::1]:8080", "[::1]", Some(8080)),
            ("[::1]", "[::1]", None),
        ] {
            assert_eq!(parse(text), Some((name.to_owned(), port)), "{text}");
        }
        for wrong in ["", ":80", "a/b", "a b", "a:+1", "a:99999", "::1", "[::1", "[::1]x", "a@b"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_that_could_be_rebound_must_be_listed() {
        let allows = |listed: &str, has_tokens, host| {
            let listed: Vec<String> = listed.split(',').map(str::to_owned).collect();
            let allowed = AllowedHosts::parse(&listed, has_tokens).expect("hosts");
            allowed.allows(&Host::parse(host).expect("a host"))
        };
        for own in ["localhost:8080", "app.LOCALHOST", "127.0.0.1:1", "192.0.2.7", "[2001:db8::1]"]
        {
            assert!(allows("", false, own) && allows("a.example", true, own), "{own}");
        }
        for evil in ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "2130706433"] {
            assert!(!allows("", false, evil) && !allows("a.example", true, evil), "{evil}");
            assert!(allows("", true, evil) && allows("*", false, evil), "{evil}");
        }
        let listed = "Shop.example, *.org.example";
        assert!(allows(listed, false, "shop.example:1") && allows(listed, false, "SHOP.example."));
        assert!(allows(listed, false, "a.b.org.example") && !allows(listed, false, "org.example"));
        assert!(
            !allows(listed, false, "evilorg.example") && !allows(listed, false, "a.shop.example")
        );
        for wrong in ["https://a.example", "a.example:80", "a*.example", ".example", "*example"] {
            assert!(AllowedHosts::parse(&[wrong.to_owned()], false).is_err(), "{wrong}");
        }
    }
}
