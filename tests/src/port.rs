//! Ports for servers that cannot pick one themselves.

use std::net::TcpListener;

/// A port that nobody listened on a moment ago.
#[must_use]
pub fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
