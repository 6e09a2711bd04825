//! The state of the whole service as this gateway sees it, for `GET /operations`.
//!
//! The subscriber writes it: each update once, and a summary after each census. It is read from
//! memory. The database and the bus are asked for the rest, at most once a second however many
//! people look, and nobody waits for them for long.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use galley_bus::{Bus, HeardProcess, QueueBacklog, Subscription};
use galley_protocol::frame::Totals;
use galley_protocol::{GatewayReport, PublisherId, RepairCauses, Update};
use galley_store::{Census, Store};
use tokio::time::timeout;

use crate::hub::Hub;
use crate::service_history::History;
use crate::subscription_health::{Reception, SubscriptionHealth, UnheardSince};
use crate::totals_cache::{Count, TotalsCache};

/// The seconds before a gateway notices that it is deaf, or has missed a message.
const NOTICED_AFTER: i64 = 5;
/// The longest wait for the database and the bus.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time for which an answer is used.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub struct Operations(Arc<OperationsState>);

#[derive(Debug, Default)]
struct OperationsState {
    history: Mutex<History>,
    heard: Mutex<HeardNow>,
    answer: tokio::sync::Mutex<Option<(Instant, Bytes)>>,
}

/// The processes, as of the last census.
#[derive(Clone, Debug, Default)]
pub struct HeardNow {
    pub processes: Vec<HeardProcess>,
    /// The publishers that live according to the database; `None` without a census that succeeded.
    pub living: Option<BTreeSet<PublisherId>>,
    /// The gaps since this gateway subscribed, by cause.
    pub gaps: RepairCauses,
}

/// The answers of the database and the bus; `None` where there was none.
#[derive(Clone, Copy, Debug)]
pub struct Backends {
    pub totals: Option<Totals>,
    /// Zero without a PENDING order.
    pub oldest_pending: Option<Duration>,
    pub backlog: Option<QueueBacklog>,
}

impl Operations {
    /// Notes updates that the bus delivered.
    pub fn note(&self, updates: &[Update]) {
        self.history().note(updates);
    }

    /// Notes the outcome of a census. Returns the report of this gateway for the others.
    pub fn count(
        &self,
        census: Option<&Census>,
        subscription: &mut dyn Subscription,
        health: &SubscriptionHealth,
        hub: &Hub,
    ) -> GatewayReport {
        let (processes, gaps) = (subscription.processes(), subscription.gaps());
        let living = census.map(|census| census.living.clone());
        let before =
            std::mem::replace(&mut *self.heard_mut(), HeardNow { processes, living, gaps });
        let deaf = health.verdict() != Reception::Receiving;
        let lost = (gaps.cut, gaps.missing) != (before.gaps.cut, before.gaps.missing);
        let unheard = health.unheard().map(|UnheardSince { since, .. }| {
            i64::try_from(since.elapsed().as_secs()).unwrap_or(i64::MAX).saturating_add(1)
        });
        let missing = unheard.max((deaf || lost).then_some(NOTICED_AFTER));
        if let Some(census) = census {
            self.history().census(census.safe.time, missing);
        }
        GatewayReport { deaf, repairs: gaps, ..hub.counts().report() }
    }

    /// Returns the processes as of the last census.
    #[must_use]
    pub fn heard(&self) -> HeardNow {
        self.heard_mut().clone()
    }

    pub fn history(&self) -> MutexGuard<'_, History> {
        self.0.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the answer, at most a second old. While one caller makes it, others wait for the
    /// same.
    pub async fn answer(&self, make: impl Future<Output = Bytes>) -> Bytes {
        let mut answer = self.0.answer.lock().await;
        if let Some((at, bytes)) = &*answer
            && at.elapsed() < FRESH
        {
            return bytes.clone();
        }
        let bytes = make.await;
        answer.insert((Instant::now(), bytes)).1.clone()
    }

    fn heard_mut(&self) -> MutexGuard<'_, HeardNow> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backends {
    pub async fn ask(store: &dyn Store, bus: &dyn Bus, totals: &TotalsCache) -> Self {
        let (totals, oldest, backlog) = tokio::join!(
            timeout(PATIENCE, totals.now(store)),
            timeout(PATIENCE, store.oldest_pending()),
            timeout(PATIENCE, bus.backlog()),
        );
        Self {
            totals: totals.ok().flatten().filter(Count::is_recent).map(|count| count.totals),
            oldest_pending: oldest.ok().and_then(Result::ok).map(Option::unwrap_or_default),
            backlog: backlog.ok().and_then(Result::ok),
        }
    }
}
