//! SIGTERM, SIGINT and SIGHUP.
//!
//! [`crate::run`] calls this once, within the runtime. The first signal only cancels the token, so
//! that the program takes the time it needs; a second one ends the process at once. SIGHUP stops a
//! program whose terminal closes. Without a terminal it asks to read secrets and certificates
//! again, as service managers send it. Nothing here waits for the program.

use std::io::{IsTerminal as _, stderr, stdin};
use std::process::exit;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::log::LogQueue;
use crate::service_manager::{tell_reloading, tell_stopping};
use crate::{Failure, StopOrder, Supervisor};

/// The exit code after a second signal: 128 + SIGINT, as in shells.
const IMPATIENT: i32 = 130;

/// The longest wait for the log after a second signal.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The hangups of this process. Signals belong to the process, and so does this.
static HANGUPS: LazyLock<watch::Sender<()>> = LazyLock::new(|| watch::channel(()).0);

/// The hangups from now on: each asks to read secrets, keys and certificates again. Hangups that
/// come together count as one.
#[derive(Debug)]
pub struct Hangups(watch::Receiver<()>);

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// True if the program started on a terminal. A closed terminal no longer counts as one, so
    /// this is read at the start.
    has_terminal: bool,
}

/// Returns a token that the first SIGTERM or SIGINT cancels. A second signal ends the process with
/// exit code 130. The supervisor must live as long as the runtime.
///
/// # Errors
/// [`Failure::Failed`] if the system does not allow listening to signals.
pub(crate) fn stop_on_signals(
    supervisor: &mut Supervisor,
    log: LogQueue,
) -> Result<CancellationToken, Failure> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| Failure::failed(format_args!("cannot listen to signals: {error}")))
    };
    let mut signals = Signals {
        terminate: listen(SignalKind::terminate())?,
        interrupt: listen(SignalKind::interrupt())?,
        hangup: listen(SignalKind::hangup())?,
        has_terminal: stdin().is_terminal() || stderr().is_terminal(),
    };
    let stop = CancellationToken::new();
    let token = stop.clone();
    supervisor.supervise(StopOrder::Last, "listener to signals", async move |_| {
        let name = signals.next().await;
        info!(signal = name, "stopping; a second signal ends at once");
        tell_stopping();
        token.cancel();
        let name = signals.next().await;
        warn!(signal = name, "ending at once");
        log.drain(LAST_WORDS);
        exit(IMPATIENT);
    });
    Ok(stop)
}

impl Hangups {
    /// Listens from now on.
    #[must_use]
    pub fn listen() -> Self {
        Self(HANGUPS.subscribe())
    }

    /// Waits for the next hangup. Cancel-safe.
    pub async fn next(&mut self) {
        self.0.changed().await.expect("the sender is never dropped");
    }
}

impl Signals {
    /// Waits for a signal that asks the program to stop.
    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => if self.has_terminal {
                    return "SIGHUP";
                },
            }
            info!("SIGHUP: reading secrets and certificates again");
            // The readers of the files are awake after this, and read them within moments.
            tell_reloading(|| HANGUPS.send_replace(()));
        }
    }
}
