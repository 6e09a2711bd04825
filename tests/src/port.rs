//! Ports for servers that cannot pick one themselves.

use std::net::TcpListener;
use std::ops::Range;

use rand::RngExt as _;

/// The ports below those of outgoing connections, so that a port stays free while its server is
/// down.
const PORTS: Range<u16> = 20_000..32_000;

/// Returns a port that was free a moment ago.
#[must_use]
pub fn free() -> u16 {
    let mut random = rand::rng();
    let mut ports = std::iter::repeat_with(|| random.random_range(PORTS)).take(100);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("of 100 ports one is free")
}
