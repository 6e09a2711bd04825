//! Tasks that stop together, and whose death is noticed.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Some tasks with one token to stop them. Dropping it ends them on the spot.
#[derive(Default)]
pub(crate) struct Crew {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    stop: CancellationToken,
}

impl Crew {
    /// Starts a task that is to run until told to stop.
    pub(crate) fn hire<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> F,
    ) {
        let handle = self.tasks.spawn(task(self.stop.clone()));
        self.names.insert(handle.id(), name);
    }

    /// Waits until a task has ended by itself, by a panic for example; says which.
    pub(crate) async fn death(&mut self) -> &'static str {
        match self.tasks.join_next_with_id().await {
            Some(ended) => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                self.names.get(&id).copied().unwrap_or("task")
            }
            None => std::future::pending().await,
        }
    }

    /// Tells the tasks to stop and waits for them; those that take longer are ended on the spot.
    pub(crate) async fn leave(&mut self, patience: Duration) {
        self.stop.cancel();
        if timeout(patience, async { while self.tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "some tasks of the worker did not stop in time");
            self.tasks.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Crew;

    #[tokio::test]
    async fn a_death_is_told_by_name_and_the_others_leave() {
        let mut crew = Crew::default();
        crew.hire("patient", async |stop| stop.cancelled().await);
        crew.hire("deaf", async |_| std::future::pending().await);
        crew.hire("mortal", async |_| {});
        assert_eq!(crew.death().await, "mortal");
        crew.leave(Duration::from_millis(10)).await;
        assert!(crew.tasks.is_empty());
    }
}
