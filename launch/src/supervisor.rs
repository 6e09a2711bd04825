//! Tasks that must not end by themselves.
//!
//! A gateway, a worker and the start of each program have one owner of their vital tasks. It stops
//! them in groups, one after another. Each task has the name of its part. A part that ends before
//! it is stopped – by a panic, or because its loop returned – ends the program: exit code 1, and
//! one line in the log that names it. Other processes then take over, as after kill -9, while a
//! program without one of its parts would look healthy and serve nobody. A task that can restart
//! without losing anything does so itself and still belongs to the supervisor, in case that fails.

use std::collections::HashMap;
use std::time::Duration;

use galley_fail_points::trip;
use thiserror::Error;
use tokio::task::{Id, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The vital tasks of a gateway, a worker or a program. Dropping it aborts them.
#[derive(Default)]
pub struct Supervisor {
    first: Group,
    second: Group,
    last: Group,
}

/// The place of a task in the order of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOrder {
    /// Stops first: the task takes in new work.
    First,
    /// Stops when no new work comes in.
    Second,
    /// Stops when the others have stopped, because they need it until then.
    Last,
}

/// Some tasks with one token to stop them.
#[derive(Default)]
struct Group {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    stop: CancellationToken,
}

/// The unexpected end of a part.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the {part} {how}, and nothing works without it")]
pub struct TaskDied {
    /// The name of the part.
    pub part: &'static str,
    how: &'static str,
}

impl Supervisor {
    /// Starts a task that must run until it is stopped.
    pub fn supervise<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        order: StopOrder,
        part: &'static str,
        task: impl FnOnce(CancellationToken) -> F,
    ) {
        let Group { tasks, names, stop } = self.group(order);
        let task = task(stop.clone());
        let handle = tasks.spawn(async move {
            trip(part);
            task.await;
        });
        names.insert(handle.id(), part);
    }

    /// Waits until a task ends by itself; waits forever if there is no task.
    pub async fn death(&mut self) -> TaskDied {
        let died = tokio::select! {
            died = self.first.death() => died,
            died = self.second.death() => died,
            died = self.last.death() => died,
        };
        tracing::error!(part = died.part, "{died}");
        died
    }

    /// Stops the tasks of this order and waits for them. Aborts those that take longer, and returns
    /// false if there were any.
    pub async fn leave(&mut self, order: StopOrder, patience: Duration) -> bool {
        let Group { tasks, names: _, stop } = self.group(order);
        stop.cancel();
        let in_time =
            timeout(patience, async { while tasks.join_next().await.is_some() {} }).await.is_ok();
        if !in_time {
            tracing::warn!(tasks = tasks.len(), "some tasks did not stop in time");
            tasks.shutdown().await;
        }
        in_time
    }

    fn group(&mut self, order: StopOrder) -> &mut Group {
        match order {
            StopOrder::First => &mut self.first,
            StopOrder::Second => &mut self.second,
            StopOrder::Last => &mut self.last,
        }
    }
}

impl Group {
    async fn death(&mut self) -> TaskDied {
        let (id, how) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, "ended"),
            Some(Err(error)) => (error.id(), "panicked"),
            None => return std::future::pending().await,
        };
        TaskDied { part: self.names.get(&id).copied().unwrap_or("task"), how }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{StopOrder, Supervisor};

    const PATIENCE: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn a_death_is_told_by_name_and_the_others_leave() {
        for (part, how) in [("mortal", "ended"), ("careless", "panicked")] {
            let mut supervisor = Supervisor::default();
            supervisor.supervise(StopOrder::First, "patient", async |stop| stop.cancelled().await);
            supervisor
                .supervise(StopOrder::First, "stubborn", async |_| std::future::pending().await);
            supervisor.supervise(StopOrder::Last, part, async move |_| {
                assert_eq!(how, "ended", "a panic on purpose");
            });
            let died = supervisor.death().await;
            assert_eq!(died.to_string(), format!("the {part} {how}, and nothing works without it"));
            assert!(!supervisor.leave(StopOrder::First, PATIENCE).await, "one is stubborn");
            assert!(supervisor.first.tasks.is_empty() && supervisor.last.tasks.is_empty());
        }
    }

    #[tokio::test]
    async fn the_tasks_of_a_later_order_live_on() {
        let mut supervisor = Supervisor::default();
        for order in [StopOrder::Last, StopOrder::Second, StopOrder::First] {
            supervisor.supervise(order, "patient", async |stop| stop.cancelled().await);
        }
        for (order, left) in [
            (StopOrder::First, [0, 1, 1]),
            (StopOrder::Second, [0, 0, 1]),
            (StopOrder::Last, [0; 3]),
        ] {
            assert!(supervisor.leave(order, PATIENCE * 100).await);
            let groups = [&supervisor.first, &supervisor.second, &supervisor.last];
            assert_eq!(groups.map(|group| group.tasks.len()), left);
        }
    }
}
