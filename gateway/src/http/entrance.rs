//! The entrance, which every request passes first. It finds the caller, the host that was asked,
//! and the path within the service.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Request, header};
use galley_launch::Transport;

use super::base_path::{BasePath, Place};
use super::forwarding::Forwarding;
use super::host::Host;
use super::scheme::Scheme;
use super::trusted_proxies::TrustedProxies;

/// The base path that a proxy took off a request.
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

#[derive(Clone, Debug, Default)]
pub struct Entrance {
    pub proxies: TrustedProxies,
    pub base: BasePath,
}

/// A request as its caller sees it; an extension of every request.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The caller: the peer, or whom trusted proxies name.
    pub address: IpAddr,
    /// Known only from trusted proxies.
    pub scheme: Option<Scheme>,
    /// The host that was asked; `None` without one, or for one that cannot be read.
    pub host: Option<Host>,
    pub place: Place,
}

impl Entrance {
    /// Takes the base path off the request, and adds what it looks like from outside.
    pub fn enter<B>(&self, request: &mut Request<B>, peer: IpAddr, transport: Transport) {
        let headers = request.headers();
        let is_trusted = self.proxies.is_peer(peer, transport);
        let told = if is_trusted {
            Forwarding::read(headers, &self.proxies)
        } else {
            Forwarding::default()
        };
        // The target comes first (RFC 9112 section 3.2.2).
        let asked = request.uri().authority().map(Authority::as_str);
        let host = || asked.or_else(|| headers.get(header::HOST)?.to_str().ok());
        let base = self.base.as_str().as_bytes();
        let is_base = |prefix: &HeaderValue| {
            let prefix = prefix.as_bytes();
            prefix.strip_suffix(b"/").unwrap_or(prefix) == base
        };
        let is_stripped = is_trusted && headers.get(&PREFIX).is_some_and(is_base);
        let mut outside = Outside {
            address: told.address.unwrap_or(peer).to_canonical(),
            scheme: told.scheme,
            host: told.host.or_else(|| host().and_then(Host::parse)),
            place: Place::Within,
        };
        outside.place = self.base.enter(request.uri_mut(), is_stripped);
        request.extensions_mut().insert(outside);
    }
}
