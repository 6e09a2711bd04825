//! The health of a program that listens on no port.
//!
//! The file is touched every two seconds as long as the runtime of the process runs and the
//! database answers, and removed at an orderly end. It shows the state of neither the work nor the
//! bus, because a worker also works without the bus.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use galley_store::Store;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// The time between two touches of the file.
const EVERY: Duration = Duration::from_secs(2);
/// The age of the file from which the program counts as unhealthy.
pub const STALE: Duration = Duration::from_secs(10);

/// The health file of the program.
#[derive(Args, Clone, Debug)]
pub struct HealthConfig {
    /// A file to touch every 2 s while the database answers, for `galley health --file`; none when
    /// absent
    #[arg(long, env = "GALLEY_HEALTH_FILE", value_name = "PATH")]
    pub health_file: Option<PathBuf>,
}

impl HealthConfig {
    /// Runs `work` and keeps the file fresh until it ends.
    pub async fn beside<T>(&self, store: &dyn Store, work: impl Future<Output = T>) -> T {
        let Some(path) = &self.health_file else { return work.await };
        let result = tokio::select! {
            result = work => result,
            never = keep_fresh(path, store) => match never {},
        };
        if let Err(error) = tokio::fs::remove_file(path).await {
            warn!(%error, path = %path.display(), "cannot remove the health file");
        }
        result
    }
}

/// Checks that the file was touched within the last 10 s.
///
/// # Errors
/// A description of the failure.
pub fn fresh(path: &Path) -> Result<(), String> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let modified = modified.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    match modified.elapsed() {
        Ok(age) if age > STALE => {
            Err(format!("{} was touched {} s ago", path.display(), age.as_secs()))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn keep_fresh(path: &Path, store: &dyn Store) -> std::convert::Infallible {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let written = match store.ping().await {
            Ok(()) => tokio::fs::write(path, b"well\n").await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let path = path.display();
        match written {
            Err(error) if !std::mem::replace(&mut failing, true) => {
                warn!(%path, error, "the health file is not touched");
            }
            Ok(()) if std::mem::replace(&mut failing, false) => {
                info!(%path, "the health file is touched again");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, write};
    use std::time::SystemTime;

    use super::{STALE, fresh};

    #[test]
    fn a_file_is_well_while_it_is_fresh() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("health");
        assert!(fresh(&path).expect_err("no file").starts_with("cannot read"));
        write(&path, "well\n").expect("a file");
        assert_eq!(fresh(&path), Ok(()));
        let long_ago = SystemTime::now() - STALE * 3;
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(long_ago))
            .expect("a time");
        assert!(fresh(&path).expect_err("a stale file").ends_with("30 s ago"));
    }
}
