//! Brings everybody up to date from the database after updates may have been lost.
//!
//! It reads once, however many sockets there are, and what it reads goes the way of every update: to the heroes who are here and
//! to the staff feed, unless they know it already. Only when more changed than one read may bring, each socket reads by itself.

use galley_protocol::{HeroId, ResumeCursor, Update};
use galley_store::{ChangesOfAll, Store, StoreError};
use tokio::task::coop::consume_budget;

use super::Hub;
use super::versions::Source;
use crate::metrics;

/// The most changes that one repair reads.
const MAX_CHANGES: usize = 10_000;

impl Hub {
    /// Tells what changed since a moment, or since the oldest welcome, to everybody who may not know it.
    ///
    /// # Errors
    /// The database cannot be read. Nobody was told anything then.
    pub async fn repair(&self, store: &dyn Store, since: Option<ResumeCursor>) -> Result<(), StoreError> {
        let watched = self.0.feed.watched_since().is_some();
        // Who comes later begins with what is true then.
        if self.count() == 0 && !watched {
            return Ok(());
        }
        ::metrics::counter!(metrics::REPAIRS).increment(1);
        let Some(since) = since.or_else(|| self.oldest_known().filter(|_| !watched)) else {
            self.fall_behind(None);
            return Ok(());
        };
        let ChangesOfAll { orders, deleted, cursor } = store.changes_of_all(since, None, MAX_CHANGES).await?;
        if orders.len() + deleted.len() >= MAX_CHANGES {
            self.fall_behind(Some(since));
            return Ok(());
        }
        let mut updates = Vec::new();
        for deletion in deleted {
            if watched || self.is_here(deletion.hero_id) {
                updates.push(Update::of_deleted(deletion.deleted, deletion.hero_id, cursor.time, cursor.floor));
            }
        }
        for order in orders.iter().rev() {
            if watched || self.is_here(order.hero_id) {
                updates.push(Update::of(order, cursor.floor));
            }
            consume_budget().await;
        }
        self.spread(&updates, Source::Database).await;
        Ok(())
    }

    /// Has every socket read what changed since then, or since its welcome, and every watcher what it was not told.
    fn fall_behind(&self, since: Option<ResumeCursor>) {
        self.0.feed.fall_behind(since);
        for shard in self.shards() {
            shard.fall_behind(since);
        }
    }

    /// What the socket knows whose welcome is the oldest.
    fn oldest_known(&self) -> Option<ResumeCursor> {
        let mut oldest = None::<ResumeCursor>;
        self.for_each(|outbox| {
            let known = outbox.known();
            oldest = oldest.into_iter().chain(known).min();
        });
        oldest
    }

    fn is_here(&self, hero_id: HeroId) -> bool {
        self.0.crowds.contains_key(&Some(hero_id))
    }
}
