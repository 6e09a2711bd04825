//! The forwarding headers of proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`, `-Proto`,
//! `-Host` and `-Port`.
//!
//! Anybody can write them. They are read from the right, as far as the hops that wrote them are
//! trusted. Nothing is taken from what does not parse.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

use super::header_list::tokens;
use super::host::Host;
use super::scheme::Scheme;
use super::trusted_proxies::TrustedProxies;

/// The caller, the scheme and the host of a request, according to trusted proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// The caller: the first address from the right that is not a trusted proxy's.
    pub address: Option<IpAddr>,
    pub scheme: Option<Scheme>,
    pub host: Option<Host>,
}

impl Forwarding {
    /// Reads the headers of a request from a trusted peer. A proxy that writes one kind of headers
    /// may pass on the other kind as a client wrote it: where both are there and differ, neither is
    /// believed.
    pub fn read(headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let (old, new) = (x_forwarded(headers, trusted), forwarded(headers, trusted));
        let new = new.unwrap_or_default();
        Self {
            address: agreed(old.address, new.address),
            scheme: agreed(old.scheme, new.scheme),
            host: agreed(old.host, new.host),
        }
    }
}

fn agreed<T: PartialEq>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => None,
        (one, other) => one.or(other),
    }
}

fn x_forwarded(headers: &HeaderMap, trusted: &TrustedProxies) -> Forwarding {
    let all = |name: &'static str| -> Vec<&str> {
        tokens(headers, &header::HeaderName::from_static(name)).collect()
    };
    let (address, hops) = walk(all("x-forwarded-for").into_iter(), trusted);
    // Each hop may add a value or pass on the one that is there.
    let outermost = |values: Vec<&str>| {
        values.get(values.len().saturating_sub(hops)).map(|value| (*value).to_owned())
    };
    let scheme = outermost(all("x-forwarded-proto")).as_deref().and_then(Scheme::parse);
    let mut host = outermost(all("x-forwarded-host")).as_deref().and_then(Host::parse);
    if let Some(host) = &mut host {
        host.port = host.port.or_else(|| outermost(all("x-forwarded-port"))?.parse().ok());
    }
    Forwarding { address, scheme, host }
}

fn forwarded(headers: &HeaderMap, trusted: &TrustedProxies) -> Option<Forwarding> {
    let mut elements = Vec::new();
    for line in headers.get_all(header::FORWARDED) {
        // An open quote would hide what a proxy added behind it.
        let line = line.to_str().ok().filter(|line| line.matches('"').count() % 2 == 0)?;
        elements.extend(split(line, ','));
    }
    let parameter = |element: &str, wanted: &str| {
        let mut pairs = split(element, ';').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let nodes: Vec<String> =
        elements.iter().map(|element| parameter(element, "for").unwrap_or_default()).collect();
    let (address, hops) = walk(nodes.iter().map(String::as_str), trusted);
    let element = elements.get(elements.len().saturating_sub(hops))?;
    let scheme = parameter(element, "proto").as_deref().and_then(Scheme::parse);
    let host = parameter(element, "host").as_deref().and_then(Host::parse);
    Some(Forwarding { address, scheme, host })
}

/// Splits outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |letter| {
        is_quoted ^= letter == '"';
        letter == separator && !is_quoted
    })
}

/// Returns the caller, and the number of hops that were believed, at least one: the peer.
fn walk<'a>(
    nodes: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &TrustedProxies,
) -> (Option<IpAddr>, usize) {
    let (mut caller, mut hops) = (None, 0);
    for node in nodes.rev() {
        let Some(address) = address(node) else { break };
        caller = Some(address);
        hops += 1;
        if !trusted.contains(address) {
            break;
        }
    }
    (caller, hops.max(1))
}

/// Reads the address of a node (RFC 7239 section 6), with or without a port.
fn address(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    let with_port = || node.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::Forwarding;
    use crate::http::trusted_proxies::TrustedProxies;

    /// Returns the address, the scheme and the host that are believed, `-` for none.
    fn read(lines: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let trusted = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).expect("a network");
        let Forwarding { address, scheme, host } = Forwarding::read(&headers, &trusted);
        let address = address.map_or("-".to_owned(), |address| address.to_string());
        let scheme = scheme.map_or("-".to_owned(), |scheme| format!("{scheme:?}"));
        let host = host.map_or("-".to_owned(), |host| format!("{}:{:?}", host.name, host.port));
        format!("{address} {scheme} {host}")
    }

    #[test]
    fn headers_are_believed_from_the_right_over_trusted_hops() {
        for (lines, believed) in [
            (&[][..], "- - -"),
            (&[("x-forwarded-for", "192.0.2.1")], "192.0.2.1 - -"),
            (&[("x-forwarded-for", "6.6.6.6, 192.0.2.1,10.1.1.1")], "192.0.2.1 - -"),
            (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")], "192.0.2.1 - -"),
            (&[("x-forwarded-for", "10.0.0.1, 10.0.0.2")], "10.0.0.1 - -"),
            (&[("x-forwarded-for", "192.0.2.1:4711")], "192.0.2.1 - -"),
            (&[("x-forwarded-for", "[2001:db8::1]:4711")], "2001:db8::1 - -"),
            (&[("x-forwarded-for", "2001:db8::1")], "2001:db8::1 - -"),
            (&[("x-forwarded-for", "::ffff:192.0.2.1")], "192.0.2.1 - -"),
            (&[("x-forwarded-for", "unknown")], "- - -"),
            (&[("x-forwarded-for", "6.6.6.6, garbage, 10.0.0.2")], "10.0.0.2 - -"),
            (&[("x-forwarded-for", "6.6.6.6,")], "- - -"),
            (&[("x-forwarded-proto", "http, wss")], "- Https -"),
            (&[("x-forwarded-proto", "gopher")], "- - -"),
            (
                &[("x-forwarded-for", "192.0.2.1, 10.0.0.1"), ("x-forwarded-proto", "https, http")],
                "192.0.2.1 Https -",
            ),
            (&[("x-forwarded-host", "evil.test, Shop.example:81")], "- - shop.example:Some(81)"),
            (
                &[("x-forwarded-host", "shop.example"), ("x-forwarded-port", "8443")],
                "- - shop.example:Some(8443)",
            ),
            (&[("x-forwarded-host", "a/b")], "- - -"),
            (
                &[(
                    "forwarded",
                    "for=6.6.6.6, For=\"[2001:db8::1]:47\";proto=https;host=\"a.b:81\"",
                )],
                "2001:db8::1 Https a.b:Some(81)",
            ),
            (
                &[(
                    "forwarded",
                    "for=192.0.2.1;proto=https;host=a, for=10.0.0.1;proto=http;host=b",
                )],
                "192.0.2.1 Https a:None",
            ),
            (&[("forwarded", "for=_hidden, for=10.0.0.1")], "10.0.0.1 - -"),
            (&[("forwarded", "for=6.6.6.6;by=\""), ("forwarded", "for=192.0.2.1")], "- - -"),
            (&[("forwarded", "for=6.6.6.6;by=\", for=192.0.2.1")], "- - -"),
            (&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")], "192.0.2.1 - -"),
            (&[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "192.0.2.1")], "- - -"),
            (
                &[("forwarded", "for=192.0.2.1"), ("x-forwarded-proto", "https")],
                "192.0.2.1 Https -",
            ),
        ] {
            assert_eq!(read(lines), believed, "{lines:?}");
        }
    }
}
