//! Tells where the program listens.

use std::io::Write as _;
use std::net::SocketAddr;

use tracing::info;

/// Logs the address and prints it on standard output as the one line `listening on http://…`, for people and scripts that
/// start the program on port 0. When nobody reads standard output, the log is enough.
pub fn announce(address: SocketAddr) {
    info!(%address, "listening on http://{address}");
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "listening on http://{address}").and_then(|()| output.flush());
}
