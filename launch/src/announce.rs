//! Announces the address on which the program listens.

use std::fmt::Display;
use std::io::Write as _;

use tracing::info;

use crate::tell_ready;

/// Logs the address and prints it on standard output as the one line `listening on http://…`, for
/// people and scripts that start the program on port 0. If nobody reads standard output, the log is
/// enough. The service manager learns that the program is ready.
pub fn announce(address: &impl Display) {
    info!(%address, "listening on {address}");
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "listening on {address}").and_then(|()| output.flush());
    tell_ready(&format!("listening on {address}"));
}
