//! The report of this process, which its heartbeats carry.

use std::sync::{Arc, Mutex, PoisonError};

use galley_protocol::{GatewayReport, ProcessReport, WorkerReport};
use tokio::time::Instant;

/// The report of this process: its parts as they were told last. It is `None` until there is one.
#[derive(Debug)]
pub(crate) struct OwnReport {
    began: Instant,
    latest: Mutex<Option<ProcessReport>>,
}

impl Default for OwnReport {
    fn default() -> Self {
        Self { began: Instant::now(), latest: Mutex::default() }
    }
}

impl OwnReport {
    pub(crate) fn set_gateway(&self, gateway: GatewayReport) {
        self.change(|report| report.gateway = Some(gateway));
    }

    pub(crate) fn set_worker(&self, worker: WorkerReport) {
        self.change(|report| report.worker = Some(worker));
    }

    pub(crate) fn now(&self) -> Option<Arc<ProcessReport>> {
        let mut report = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        report.uptime_seconds = self.began.elapsed().as_secs();
        Some(Arc::new(report))
    }

    fn change(&self, change: impl FnOnce(&mut ProcessReport)) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || ProcessReport::new(env!("CARGO_PKG_VERSION"), &host(), std::process::id());
        change(latest.get_or_insert_with(new));
    }
}

/// Returns the name of this host; `-` if the system does not say.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(
        |_| std::env::var("HOSTNAME").unwrap_or_else(|_| "-".to_owned()),
        |name| name.trim().to_owned(),
    )
}
