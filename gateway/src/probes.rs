//! Probes of the database and the bus.
//!
//! Both are probed at most every half second, by one caller at a time, for at most a second each.
//! Other callers wait for the same result.

use std::future::Future;
use std::time::{Duration, Instant};

use galley_bus::Bus;
use galley_store::{Store, StoreError};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::subscription_health::SubscriptionHealth;

/// Timeout of a probe.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a result is used.
const FRESH: Duration = Duration::from_millis(500);

/// A thing that this gateway depends on.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct Dependency {
    /// Which: `database` or `bus`.
    #[schema(example = "database")]
    pub name: &'static str,
    /// Whether it answers.
    pub ok: bool,
    /// How long it took.
    pub millis: u64,
    /// The cause, when it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<&'static str>,
}

#[derive(Default)]
pub struct Probes(Mutex<Option<Probed>>);

#[derive(Clone, Copy)]
pub struct Probed {
    at: Instant,
    pub database: Dependency,
    pub bus: Dependency,
}

impl Probes {
    /// Probes the dependencies, unless the last result is still fresh.
    pub async fn ask(
        &self,
        store: &dyn Store,
        bus: &dyn Bus,
        hearing: &SubscriptionHealth,
    ) -> Probed {
        // Locked during the probes: other callers wait for the same result.
        let mut last = self.0.lock().await;
        if let Some(probed) = *last
            && probed.at.elapsed() < FRESH
        {
            return probed;
        }
        let database = probe("database", store.ping(), StoreError::words);
        let bus = probe("bus", bus.ping(), |_| "cannot reach Redis");
        let (database, bus) = tokio::join!(database, bus);
        // The ping of the bus fails while the subscription is cut.
        hearing.set_answers(bus.ok);
        *last.insert(Probed { at: Instant::now(), database, bus })
    }
}

async fn probe<E>(
    name: &'static str,
    ping: impl Future<Output = Result<(), E>>,
    words: impl FnOnce(&E) -> &'static str,
) -> Dependency {
    let began = Instant::now();
    let detail = match timeout(PATIENCE, ping).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(words(&error)),
        Err(_) => Some("no answer in time"),
    };
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Dependency { name, ok: detail.is_none(), millis, detail }
}

#[cfg(test)]
mod tests {
    use super::probe;

    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_does_not_answer_is_not_waited_for() {
        let silent = probe("bus", std::future::pending::<Result<(), ()>>(), |()| "away").await;
        assert_eq!((silent.ok, silent.detail), (false, Some("no answer in time")));
        assert!(probe("bus", async { Ok::<(), ()>(()) }, |()| "away").await.ok);
    }
}
