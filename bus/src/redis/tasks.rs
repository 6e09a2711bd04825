//! The tasks of the bus. None of them may end by itself.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use galley_fail_points::trip;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The tasks of one bus; reports when one has ended that was not dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(CancellationToken);

impl Tasks {
    /// Starts a task. It ends when its handle is dropped; if it ends before that, the bus is
    /// broken.
    pub(super) fn start(
        &self,
        part: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortOnDropHandle<()> {
        let broken = self.0.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let lived = async {
                trip(part);
                task.await;
            };
            // A panic counts like a return.
            drop(AssertUnwindSafe(lived).catch_unwind().await);
            tracing::error!(part, "a part of the bus ended");
            broken.cancel();
        }))
    }

    /// Waits until a task has ended by itself.
    pub(super) async fn broken(&self) {
        self.0.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::Tasks;

    #[tokio::test]
    async fn a_task_that_ends_breaks_the_bus_and_one_that_is_dropped_does_not() {
        let tasks = Tasks::default();
        drop(tasks.start("dropped", std::future::pending()));
        tokio::task::yield_now().await;
        assert!(tasks.broken().now_or_never().is_none());
        let _returns = tasks.start("returns", std::future::ready(()));
        tasks.broken().await;
        let careless = Tasks::default();
        let _panics = careless.start("panics", async { panic!("on purpose") });
        careless.broken().await;
    }
}
