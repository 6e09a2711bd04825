//! The changes that a watcher has missed, read from the database in pages.
//!
//! One page is in memory at a time, and the next one is read when it has been sent. Only one
//! watcher reads at a time. Later changes come in frames meanwhile. If changes are dropped
//! meanwhile, they are read in another pass.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use galley_protocol::{OrderId, ResumeCursor};
use galley_store::{ChangesOfAll, Store, StoreError};
use tokio::sync::Semaphore;

use crate::retry::pause_after;

/// Maximum number of orders and deletions in a page.
const PAGE: usize = 500;

pub struct Missing {
    store: Arc<dyn Store>,
    readers: Arc<Semaphore>,
    since: ResumeCursor,
    /// The lowest id of the earlier pages of this pass. The next page has lower ids.
    before: Option<OrderId>,
    /// The cursor from which another pass starts, because changes were dropped meanwhile.
    again: Option<ResumeCursor>,
    page: BoxFuture<'static, Result<ChangesOfAll, StoreError>>,
    failures: u32,
}

impl Missing {
    pub fn since(since: ResumeCursor, store: Arc<dyn Store>, readers: Arc<Semaphore>) -> Self {
        let page = read(Arc::clone(&store), Arc::clone(&readers), since, None, Duration::ZERO);
        Self { store, readers, since, before: None, again: None, page, failures: 0 }
    }

    /// Asks for another pass, because changes were dropped after this cursor, or at a position
    /// without one.
    pub fn again(&mut self, since: Option<ResumeCursor>) {
        // The first loss is the earliest: the position of a watcher only rises.
        self.again.get_or_insert(since.unwrap_or(self.since));
    }

    /// Waits for the next page. Repeats the read while the database is unreachable. Safe to drop
    /// while it waits.
    pub async fn page(&mut self) -> ChangesOfAll {
        loop {
            match (&mut self.page).await {
                Ok(page) => {
                    self.failures = 0;
                    return page;
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot read the changes that a watcher missed");
                    self.ask(pause_after(self.failures));
                    self.failures += 1;
                }
            }
        }
    }

    /// Begins to read the page after this one. Returns false if nothing is missing any more.
    pub fn go_on(&mut self, page: &ChangesOfAll) -> bool {
        let ids = page.orders.iter().map(|order| order.id);
        let lowest = ids.chain(page.deleted.iter().map(|deletion| deletion.deleted.order_id)).min();
        self.before = lowest.filter(|_| page.orders.len() + page.deleted.len() >= PAGE);
        if self.before.is_none() {
            let Some(again) = self.again.take() else { return false };
            self.since = again;
        }
        self.ask(Duration::ZERO);
        true
    }

    fn ask(&mut self, pause: Duration) {
        self.page = read(
            Arc::clone(&self.store),
            Arc::clone(&self.readers),
            self.since,
            self.before,
            pause,
        );
    }
}

impl fmt::Debug for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Missing")
            .field("since", &self.since)
            .field("before", &self.before)
            .finish_non_exhaustive()
    }
}

/// Reads the page with the ids below `before`, after a pause.
fn read(
    store: Arc<dyn Store>,
    readers: Arc<Semaphore>,
    since: ResumeCursor,
    before: Option<OrderId>,
    pause: Duration,
) -> BoxFuture<'static, Result<ChangesOfAll, StoreError>> {
    async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let _turn = readers.acquire().await.expect("nobody closes it");
        store.changes_of_all(since, before, PAGE).await
    }
    .boxed()
}
