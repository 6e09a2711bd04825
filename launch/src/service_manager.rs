//! Messages to the service manager that started this program, in the protocol of systemd.
//!
//! [`crate::run`] and the start and the stop of each program call this. `NOTIFY_SOCKET` names the
//! socket; without it nothing is sent. A message is one datagram. A manager that does not read
//! holds a message up for a second at most, and the first failure is logged.

use std::env::var_os;
use std::ffi::{OsStr, OsString};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Once;
use std::time::Duration;

use tokio::time::interval;
use tracing::warn;

use crate::{StopOrder, Supervisor};

/// The longest time to send a message.
const PATIENCE: Duration = Duration::from_secs(1);
/// The shortest interval between signs of life.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

/// Tells the service manager that the program serves, with a status for people.
pub fn tell_ready(status: &str) {
    notify(&format!("READY=1\nSTATUS={status}"));
}

/// Tells the service manager that the program stops.
pub(crate) fn tell_stopping() {
    notify("STOPPING=1\nSTATUS=stopping");
}

/// Tells the service manager that the program reads its secrets again, and serves meanwhile.
pub(crate) fn tell_reloading(reload: impl FnOnce()) {
    notify("RELOADING=1");
    reload();
    notify("READY=1");
}

/// Sends signs of life for as long as the runtime runs tasks, if the service manager asks for them:
/// two in each of its intervals.
pub(crate) fn keep_alive(supervisor: &mut Supervisor) {
    let is_mine = variable("WATCHDOG_PID")
        .is_none_or(|pid| pid.to_str() == Some(&std::process::id().to_string()));
    let interval_of = |micros: OsString| micros.to_str()?.parse().ok().map(Duration::from_micros);
    let Some(every) = variable("WATCHDOG_USEC").and_then(interval_of) else { return };
    if !is_mine || every.is_zero() {
        return;
    }
    supervisor.supervise(StopOrder::Last, "watchdog of the service manager", async move |_| {
        let mut ticks = interval((every / 2).max(LEAST_INTERVAL));
        loop {
            ticks.tick().await;
            notify("WATCHDOG=1");
        }
    });
}

/// Sends a message; without a service manager does nothing.
fn notify(message: &str) {
    static FAILED: Once = Once::new();
    let Some(name) = variable("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&name, message) {
        let name = name.display();
        FAILED.call_once(|| {
            warn!(%error, "cannot notify the service manager at NOTIFY_SOCKET={name}");
        });
    }
}

fn send(name: &OsStr, message: &str) -> Result<()> {
    let address = match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
        }
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(Error::new(ErrorKind::InvalidInput, "it must begin with / or @")),
    }?;
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send_to_addr(message.as_bytes(), &address).map(drop)
}

/// A variable of the environment; an empty one is not set.
fn variable(name: &str) -> Option<OsString> {
    var_os(name).filter(|value| !value.is_empty())
}
