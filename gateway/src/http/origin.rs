//! The check of the `Origin` of requests: only pages of this service and of listed origins may call
//! it (CWE-1385, CWE-352).
//!
//! A browser sends the origin of the page with each request that could do harm. A request from a
//! page of any other origin is refused before anything is done, whatever its method, and before an
//! upgrade. The own origin is that of the request as its caller sent it. A proxy may hide it; then
//! the word of the browser decides, which pages cannot forge (Fetch Metadata, `Sec-Fetch-Site`).
//! CORS lets pages of listed origins read the answers. A request without `Origin` does not come
//! from a foreign page that could do harm.

use axum::http::request::Parts;
use axum::http::response::Builder;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use super::entrance::Outside;
use super::host::Host;
use super::scheme::Scheme;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// Request headers that they may send.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, traceparent, tracestate, x-request-id",
);
/// Response headers that they may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, idempotent-replayed, link, location, retry-after, x-request-id",
);
/// How long they may cache the answer to a preflight, in seconds. Browsers cache it for two hours
/// at most.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// There is none: it is not a page, or a page of this service that only reads.
    Nowhere,
    Here,
    Listed,
    /// Any other page.
    Elsewhere,
}

impl Origins {
    /// Parses origins as browsers write them. Ignores empty entries. The error names a wrong one.
    pub fn parse(listed: &[String]) -> Result<Self, String> {
        let listed: Vec<String> = listed
            .iter()
            .map(|origin| origin.trim().to_owned())
            .filter(|origin| !origin.is_empty())
            .collect();
        match listed.iter().find(|origin| !is_origin(origin)) {
            Some(wrong) => Err(format!(
                "{wrong:?} is no origin as browsers send it: like https://app.example or http://localhost:5173"
            )),
            None => Ok(Self(listed)),
        }
    }

    pub fn of(&self, outside: &Outside, headers: &HeaderMap) -> From {
        let mut lines = headers.get_all(header::ORIGIN).iter();
        let origin = match (lines.next(), lines.next()) {
            (None, _) => return From::Nowhere,
            (Some(origin), None) => origin.to_str().unwrap_or_default(),
            // A browser sends one at most.
            (Some(_), Some(_)) => return From::Elsewhere,
        };
        if self.0.iter().any(|listed| listed == origin) {
            return From::Listed;
        }
        let is_told = headers.get(FETCH_SITE).is_some_and(|site| site == "same-origin");
        if is_told || is_own(origin, outside) { From::Here } else { From::Elsewhere }
    }
}

/// Returns true for the origin of the request as its caller sent it. The scheme may be unknown:
/// behind a proxy that terminates TLS, requests come without it.
fn is_own(origin: &str, Outside { scheme, host, .. }: &Outside) -> bool {
    let (page, authority) = match (origin.strip_prefix("https://"), origin.strip_prefix("http://"))
    {
        (Some(authority), _) => (Scheme::Https, authority),
        (None, Some(authority)) => (Scheme::Http, authority),
        (None, None) => return false,
    };
    let (Some(page_host), Some(host)) = (Host::parse(authority), host) else { return false };
    let page_port = page_host.port.unwrap_or(page.port());
    page_host.name == host.name
        && page_port == host.port.unwrap_or(scheme.unwrap_or(page).port())
        && scheme.is_none_or(|scheme| scheme == page)
}

/// Returns true if a page of another site caused the request, as the browser says, and not by a link
/// that a person followed. A browser sends no `Origin` with the pictures and scripts of a page.
pub fn is_cross_site(method: &Method, headers: &HeaderMap) -> bool {
    let says = |name, word| headers.get_all(name).iter().any(|line| line == word);
    let is_link = method == Method::GET && says(FETCH_MODE, "navigate");
    says(FETCH_SITE, "cross-site") && !is_link
}

/// Returns the answer to a CORS preflight of a listed page; `None` for any other request.
pub fn preflight(request: &Parts) -> Option<Response> {
    let asks = request.method == Method::OPTIONS
        && request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    asks.then(|| {
        let told = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ];
        let answer = told.into_iter().fold(Response::builder().status(StatusCode::NO_CONTENT), add);
        answer.body(axum::body::Body::empty()).expect("a status and headers of ours make an answer")
    })
}

pub fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

fn add(answer: Builder, (name, value): (HeaderName, HeaderValue)) -> Builder {
    answer.header(name, value)
}

/// Returns true for an origin in the form in which browsers write it (RFC 6454 section 6.2): lower
/// case, no path, no default port.
fn is_origin(text: &str) -> bool {
    let (authority, default) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(authority), _) => (authority, "443"),
        (None, Some(authority)) => (authority, "80"),
        (None, None) => return false,
    };
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return false,
        },
        None => {
            authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
        }
    };
    let bracketed = authority.starts_with('[');
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'.' => true,
        b'-' | b'_' => !bracketed,
        b':' => bracketed,
        _ => false,
    };
    let good_port = |port: &str| {
        port != default
            && port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
    };
    !host.is_empty() && host.bytes().all(letter) && port.is_none_or(good_port)
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, Request};
    use galley_launch::Transport;

    use super::{From, Origins, is_cross_site};
    use crate::http::TrustedProxies;
    use crate::http::entrance::{Entrance, Outside};

    fn from(headers: &[(&'static str, &'static str)], listed: &[&str]) -> From {
        let listed: Vec<String> = listed.iter().map(|&origin| origin.to_owned()).collect();
        let mut request = Request::get("/ws");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).expect("a request");
        let proxies = TrustedProxies::parse(&["10.0.0.1".to_owned()]).expect("an address");
        let is_proxied = request.headers().contains_key("x-forwarded-for");
        let peer = if is_proxied { "10.0.0.1" } else { "192.0.2.1" }.parse().expect("an address");
        Entrance { proxies, ..Entrance::default() }.enter(&mut request, peer, Transport::Tcp);
        let outside = request.extensions().get::<Outside>().expect("it was added");
        Origins::parse(&listed).expect("origins").of(outside, request.headers())
    }

    #[test]
    fn the_own_origin_is_that_which_the_caller_asked() {
        for (host, origin, expected) in [
            ("shop.example", "https://shop.example", From::Here),
            ("shop.example:443", "https://shop.example", From::Here),
            ("shop.example:80", "http://shop.example", From::Here),
            ("SHOP.example:8443", "https://shop.example:8443", From::Here),
            ("[::1]:8080", "http://[::1]:8080", From::Here),
            ("shop.example", "https://shop.example:8443", From::Elsewhere),
            ("shop.example:443", "http://shop.example", From::Elsewhere),
            ("gateways", "https://shop.example", From::Elsewhere),
        ] {
            let headers = [("host", host), ("origin", origin)];
            assert_eq!(from(&headers, &[]), expected, "{host} {origin}");
            let told = [headers[0], headers[1], ("sec-fetch-site", "same-origin")];
            assert_eq!(from(&told, &[]), From::Here, "the browser says so");
            let other = [headers[0], headers[1], ("sec-fetch-site", "same-site")];
            assert_eq!(from(&other, &[]), expected, "{host} {origin}");
        }
        let forwarded = |origin, from_proxy: &'static str| {
            let (host, scheme) = ("x-forwarded-host", "x-forwarded-proto");
            let headers = [("host", "gateways"), ("origin", origin), (host, "shop.example")];
            from(&[&headers[..], &[(scheme, "https"), (from_proxy, "192.0.2.9")]].concat(), &[])
        };
        assert_eq!(forwarded("https://shop.example", "x-forwarded-for"), From::Here);
        assert_eq!(forwarded("http://shop.example", "x-forwarded-for"), From::Elsewhere);
        assert_eq!(forwarded("https://gateways", "x-forwarded-for"), From::Elsewhere);
        assert_eq!(forwarded("https://shop.example", "x-other"), From::Elsewhere);
    }

    #[test]
    fn only_the_same_and_the_listed_origins_are_let_in() {
        let listed = ["https://app.example:8443", "http://localhost:5173"];
        let judge = |origin| from(&[("host", "127.0.0.1:8080"), ("origin", origin)], &listed);
        assert_eq!(judge("http://127.0.0.1:8080"), From::Here);
        assert_eq!(judge("https://127.0.0.1:8080"), From::Here, "before a proxy that ends TLS");
        assert_eq!(judge("https://app.example:8443"), From::Listed);
        for evil in [
            "null",
            "",
            "http://evil.example",
            "http://127.0.0.1:8081",
            "http://127.0.0.1",
            "http://127.0.0.1:8080.evil.example",
            "http://127.0.0.1:8080/",
            "ftp://127.0.0.1:8080",
            "127.0.0.1:8080",
            "https://app.example",
            "http://app.example:8443",
            "https://app.example:8443.evil.example",
            "https://evil-app.example:8443",
            "https://APP.example:8443",
            "http://localhost:5173, http://evil.example",
        ] {
            assert_eq!(judge(evil), From::Elsewhere, "{evil:?}");
        }
        let twice = [("host", "a"), ("origin", "http://a"), ("origin", "http://a")];
        assert_eq!(from(&twice, &[]), From::Elsewhere);
        assert_eq!(from(&[("host", "a")], &[]), From::Nowhere);
        assert_eq!(
            from(&[("origin", "http://a")], &[]),
            From::Elsewhere,
            "no host to compare with"
        );
    }

    #[test]
    fn what_another_site_causes_is_known_and_a_link_is_none_of_it() {
        let judge = |method: Method, site: &str, mode: &str| {
            let request = Request::get("/").header("sec-fetch-site", site);
            let request = request.header("sec-fetch-mode", mode).body(()).expect("a request");
            is_cross_site(&method, request.headers())
        };
        assert!(judge(Method::GET, "cross-site", "no-cors"));
        assert!(judge(Method::POST, "cross-site", "navigate"), "a form");
        assert!(!judge(Method::GET, "cross-site", "navigate"));
        assert!(!judge(Method::POST, "same-origin", "cors"));
        assert!(!judge(Method::GET, "none", "no-cors"));
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let parse = |text: &str| Origins::parse(&[text.to_owned()]);
        for good in [
            "https://app.example",
            "http://localhost:5173",
            "http://[::1]:8080",
            "http://[::1]",
            "https://10.0.0.1:8443",
            "",
        ] {
            assert!(parse(good).is_ok(), "{good:?}");
        }
        for wrong in [
            "*",
            "null",
            "app.example",
            "https://",
            "https://*.example",
            "https://app.example/",
            "https://App.example",
            "https://app.example:443",
            "http://app.example:80",
            "http://app.example:0",
            "http://app.example:",
            "http://app.example:080",
            "http://app.example:99999",
            "http://a:b@c",
            "http://[::1]x",
            "ws://app.example",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
