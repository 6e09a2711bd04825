//! Repairs: after updates may have been lost, the changes are read from the database.
//!
//! One read serves all sockets. Its result is delivered like any other update: to the heroes with
//! sockets here and to the staff feed, unless they already have it. Only if more changed than one
//! read may return, each socket reads for itself.

use galley_protocol::{HeroId, ResumeCursor, Update};
use galley_store::{ChangesOfAll, Store, StoreError};
use tokio::task::coop::consume_budget;

use super::Hub;
use crate::metrics;
use crate::versions::Source;

/// The most changes that one repair reads.
const MAX_CHANGES: usize = 10_000;

/// The changes that a repair has read, for the heroes with sockets here and for watchers.
#[derive(Debug, Default)]
pub struct Repair(Vec<Update>);

impl Hub {
    /// Reads the changes since `since`. If it is `None`, reads since the oldest cursor that a
    /// socket is known to have, unless staff watches. If there are too many changes, or no such
    /// cursor, each socket is made to read for itself instead, and the returned repair is empty.
    ///
    /// # Errors
    /// The database cannot be read. Nothing has been sent then.
    pub async fn read_repair(
        &self,
        store: &dyn Store,
        since: Option<ResumeCursor>,
    ) -> Result<Repair, StoreError> {
        self.read_repair_up_to(MAX_CHANGES, store, since).await
    }

    /// Delivers the changes of a repair, unless newer states were delivered meanwhile.
    pub async fn deliver_repair(&self, Repair(updates): Repair) {
        self.spread(&updates, Source::Database).await;
    }

    async fn read_repair_up_to(
        &self,
        most: usize,
        store: &dyn Store,
        since: Option<ResumeCursor>,
    ) -> Result<Repair, StoreError> {
        let watched = self.0.feed.watched_since().is_some();
        // A socket that joins later reads the current state in its welcome.
        if self.count() == 0 && !watched {
            return Ok(Repair::default());
        }
        ::metrics::counter!(metrics::REPAIRS).increment(1);
        let Some(since) = since.or_else(|| self.oldest_known().filter(|_| !watched)) else {
            self.fall_behind(None);
            return Ok(Repair::default());
        };
        let ChangesOfAll { orders, deleted, cursor } =
            store.changes_of_all(since, None, most).await?;
        if orders.len() + deleted.len() >= most {
            self.fall_behind(Some(since));
            return Ok(Repair::default());
        }
        let mut updates = Vec::new();
        for deletion in deleted {
            if watched || self.is_here(deletion.hero_id) {
                updates.push(Update::of_deleted(deletion.deleted, deletion.hero_id, cursor.time));
            }
        }
        // The store returns the orders by falling id.
        for order in orders.iter().rev() {
            if watched || self.is_here(order.hero_id) {
                updates.push(Update::of(order));
            }
            consume_budget().await;
        }
        Ok(Repair(updates))
    }

    /// Makes every socket read the changes since this cursor, or since its welcome, and every
    /// watcher the changes that it was not sent.
    fn fall_behind(&self, since: Option<ResumeCursor>) {
        self.0.feed.lose();
        for shard in self.shards() {
            shard.fall_behind(since);
        }
    }

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use galley_protocol::{
        HeroId, MealId, NewHero, NewMeal, OfHero, Order, PlaceOrder, ResumeCursor, Update, Version,
        Watch,
    };
    use galley_store::{PlaceVerdict, SnapshotRequest, Store};
    use serde_json::json;
    use tempfile::TempDir;

    use crate::feed::Begin;
    use crate::unit_test_store::unit_test_store;

    use super::super::{Hub, Membership, Missed, Out, Outbox};

    /// Two heroes with 100 idle sockets each, and a third without sockets.
    struct RepairScene {
        store: Arc<dyn Store>,
        hub: Hub,
        heroes: Vec<HeroId>,
        meal: MealId,
        places: Vec<Membership>,
        since: ResumeCursor,
        _directory: TempDir,
    }

    impl RepairScene {
        async fn set() -> Self {
            let (store, directory) = unit_test_store().await;
            let meal =
                NewMeal::from_json(json!({"name": "Soup", "price": 1, "origin_planet": "Mars"}))
                    .expect("a meal");
            let meal = store.meals().create(&meal).await.expect("created").id;
            let (hub, mut heroes, mut places) =
                (Hub::new(store.cursor_keys().clone()), Vec::new(), Vec::new());
            let hero =
                NewHero::from_json(json!({"name": "Zoé", "planet": "Earth"})).expect("a hero");
            for _ in 0..3 {
                heroes.push(store.heroes().create(&hero).await.expect("created").id);
            }
            let request = SnapshotRequest { hero_id: heroes[0], since: None };
            let snapshots = store.snapshots(&[request]).await.expect("snapshots");
            let since = snapshots[0].as_ref().expect("a hero").cursor;
            for hero_id in &heroes[..2] {
                for _ in 0..100 {
                    let place = hub
                        .join(Some(*hero_id), usize::MAX, Arc::new(Outbox::new(100_000)))
                        .expect("room");
                    place.outbox().know(since);
                    places.push(place);
                }
            }
            Self { store, hub, heroes, meal, places, since, _directory: directory }
        }

        async fn order(&self, hero: usize) -> Order {
            let command = PlaceOrder::of(self.meal);
            let request = OfHero { hero_id: self.heroes[hero], command };
            let verdict = self.store.place(&[request]).await.expect("verdicts").remove(0);
            let PlaceVerdict::Placed(order) = verdict else { panic!("{verdict:?}") };
            order
        }

        async fn repair(&self, most: usize) {
            let read = self
                .hub
                .read_repair_up_to(most, &*self.store, Some(self.since))
                .await
                .expect("a repair");
            self.hub.deliver_repair(read).await;
            // A hero with several shards is written to by tasks.
            while self.hub.shards().iter().any(|shard| shard.idle_outboxes().is_none()) {
                tokio::task::yield_now().await;
            }
        }

        fn out(&self) -> Vec<Vec<Out>> {
            let of =
                |place: &Membership| std::iter::from_fn(|| place.outbox().try_next()).collect();
            self.places.iter().map(of).collect()
        }
    }

    fn frames(out: &[Out]) -> Vec<(i64, i32)> {
        let frame = |out: &Out| {
            let Out::Frame(update) = out else { panic!("no socket reads by itself: {out:?}") };
            (update.order_id.get(), update.version.0)
        };
        out.iter().map(frame).collect()
    }

    #[tokio::test]
    async fn however_many_sockets_there_are_it_reads_once_and_tells_only_what_is_news() {
        let scene = RepairScene::set().await;
        let watcher = scene.hub.watch(Arc::clone(&scene.store), Watch::all(None), Begin::default());
        let [delivered, lost, absent] =
            [scene.order(0).await, scene.order(0).await, scene.order(2).await];
        scene.hub.deliver(&[Update::of(&delivered)]).await;
        scene.repair(100).await;
        for (index, out) in scene.out().iter().enumerate() {
            let expected = if index < 100 {
                vec![(delivered.id.get(), 1), (lost.id.get(), 1)]
            } else {
                vec![]
            };
            assert_eq!(frames(out), expected, "socket {index}");
        }
        assert!(absent.version == Version::FIRST);
        scene.repair(100).await;
        assert!(scene.out().concat().is_empty(), "everybody knows everything");
        drop(watcher);
    }

    #[tokio::test]
    async fn beyond_the_bound_each_socket_reads_by_itself() {
        let scene = RepairScene::set().await;
        for _ in 0..3 {
            scene.order(0).await;
        }
        scene.repair(3).await;
        for out in scene.out() {
            assert_eq!(out, [Out::Resync(Missed::Since(scene.since))]);
        }
    }

    #[tokio::test]
    async fn nothing_is_read_for_nobody() {
        let mut scene = RepairScene::set().await;
        scene.places.clear();
        scene.store.close().await;
        assert!(scene.hub.read_repair(&*scene.store, Some(scene.since)).await.is_ok());
    }
}
