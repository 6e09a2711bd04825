//! Tasks that must not end by themselves.
//!
//! A crew owns the vital tasks of a gateway or a worker. Each task runs one part of the program and
//! has its name. If a part ends before it is stopped, by a panic or because its loop returned, the
//! program ends with exit code 1 and one log line that names the part. Other processes then take
//! over, as after kill -9; without one of its parts the program would look healthy and serve
//! nobody. A task that can restart without losing anything does so itself, and is still hired here,
//! in case that fails.

use std::collections::HashMap;
use std::time::Duration;

use galley_fail_points::trip;
use thiserror::Error;
use tokio::task::{Id, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A group of tasks with one token to stop them. Dropping it aborts them.
#[derive(Default)]
pub struct Crew {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    stop: CancellationToken,
}

/// The unexpected end of a part.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the {part} {how}, and nothing works without it")]
pub struct Died {
    /// The name of the part.
    pub part: &'static str,
    how: &'static str,
}

impl Crew {
    /// Starts a task that must run until it is stopped.
    pub fn hire<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        part: &'static str,
        task: impl FnOnce(CancellationToken) -> F,
    ) {
        let task = task(self.stop.clone());
        let handle = self.tasks.spawn(async move {
            trip(part);
            task.await;
        });
        self.names.insert(handle.id(), part);
    }

    /// Waits until a task ends by itself; waits forever if there is no task.
    pub async fn death(&mut self) -> Died {
        let (id, how) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, "ended"),
            Some(Err(error)) => (error.id(), "panicked"),
            None => return std::future::pending().await,
        };
        let died = Died { part: self.names.get(&id).copied().unwrap_or("task"), how };
        tracing::error!(part = died.part, "{died}");
        died
    }

    /// Stops the tasks and waits for them. Aborts those that take longer, and returns false if
    /// there were any.
    pub async fn leave(&mut self, patience: Duration) -> bool {
        self.stop.cancel();
        let in_time = timeout(patience, async { while self.tasks.join_next().await.is_some() {} })
            .await
            .is_ok();
        if !in_time {
            tracing::warn!(tasks = self.tasks.len(), "some tasks did not stop in time");
            self.tasks.shutdown().await;
        }
        in_time
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Crew;

    #[tokio::test]
    async fn a_death_is_told_by_name_and_the_others_leave() {
        for (part, how) in [("mortal", "ended"), ("careless", "panicked")] {
            let mut crew = Crew::default();
            crew.hire("patient", async |stop| stop.cancelled().await);
            crew.hire("stubborn", async |_| std::future::pending().await);
            crew.hire(part, async move |_| assert_eq!(how, "ended", "a panic on purpose"));
            let died = crew.death().await;
            assert_eq!(died.to_string(), format!("the {part} {how}, and nothing works without it"));
            assert!(!crew.leave(Duration::from_millis(10)).await, "one is stubborn");
            assert!(crew.tasks.is_empty());
        }
    }
}
