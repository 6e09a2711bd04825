//! Brings the feed up to date from the database after updates were lost.
//!
//! One task per gateway, from its start to its end. It reads at most once a second, whatever is lost and however many watch,
//! and nothing while nobody watches.

use std::sync::Arc;
use std::time::Duration;

use galley_store::{ChangesOfAll, Store};
use tokio_util::sync::CancellationToken;

use super::Feed;
use super::newest::{Change, MAX_ORDERS};

/// The least time between two reads.
const REPAIR_EVERY: Duration = Duration::from_secs(1);

/// Repairs the feed until `stop`.
pub async fn repair(feed: Feed, store: Arc<dyn Store>, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        loop {
            let since = feed.behind().await;
            match store.changes_of_all(since, None, MAX_ORDERS).await {
                Ok(ChangesOfAll { orders, deleted, .. }) => {
                    let deletions = deleted.into_iter().map(Change::of_deletion);
                    // The newest last, so that the oldest goes at the bound.
                    feed.note_changes(deletions.chain(orders.iter().rev().map(Change::of_order)));
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot read what the staff feed has missed");
                    feed.fall_behind(Some(since));
                }
            }
            tokio::time::sleep(REPAIR_EVERY).await;
        }
    })
    .await;
}
