//! The connected sockets, and the delivery of updates to them.
//!
//! The subscriber delivers the updates that were published, the publisher those that could not be.
//! A session joins with its outbox and leaves by dropping its [`Membership`]. A delivery never
//! waits for a socket: a slow one fills only its own outbox, and a hero with many sockets delays no
//! other hero. No guard of a map leaves this file.

mod delivery;
mod menu_delivery;
pub mod outbox;
mod push_spans;
mod repair;
mod resource_frame;
mod safe_cursor;
mod shard;
mod socket_counts;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dashmap::DashMap;
use galley_protocol::{HeroId, OrderId, ResumeCursor, Timestamp, Update, Version, Watch};
use galley_store::SignOut;
use galley_store::{CursorKeys, Store};
use tokio::sync::{Mutex, Notify, Semaphore};

use crate::feed::{Begin, StaffFeed, Watcher};
use crate::metrics;
pub use crate::versions::VersionSeen;
use crate::versions::{Judged, Source, Versions, Wanted};
pub use delivery::Notice;
use delivery::{Delivery, by_hero};
pub use menu_delivery::MenuNews;
pub use outbox::{Missed, Out, Outbox};
use push_spans::trace_pushes;
pub use repair::Repair;
pub use resource_frame::ResourceFrame;
use safe_cursor::CurrentSafeCursor;
use shard::Shard;
use socket_counts::SocketCounts;

/// Minimum time between two large deliveries. Updates that arrive meanwhile go out in one write per
/// socket.
pub const TICK: Duration = Duration::from_millis(2);

#[derive(Clone, Debug)]
pub struct Hub(Arc<HubState>);

#[derive(Debug)]
struct HubState {
    /// The sockets of each hero, and of staff under `None`.
    crowds: DashMap<Option<HeroId>, Crowd>,
    counts: SocketCounts,
    feed: StaffFeed,
    versions: Versions,
    watermark: CurrentSafeCursor,
    /// Held for a whole delivery: one that was judged later must not arrive earlier.
    turn: Mutex<()>,
    /// One permit for each shard task that may write at the same time.
    writers: Arc<Semaphore>,
    menu_changed: Notify,
}

#[derive(Debug)]
struct Crowd {
    shards: Vec<Arc<Shard>>,
    sockets: usize,
    /// The time since which every change was received while a socket of this hero was connected.
    since: Timestamp,
}

#[derive(Clone, Copy, Debug)]
pub struct TooMany;

/// The membership of a socket in the hub. The socket leaves when this is dropped.
#[derive(Debug)]
pub struct Membership {
    hub: Hub,
    hero_id: Option<HeroId>,
    shard: Arc<Shard>,
    outbox: Arc<Outbox>,
}

impl Membership {
    /// `None` for staff.
    #[must_use]
    pub fn hero_id(&self) -> Option<HeroId> {
        self.hero_id
    }

    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Notes that the session is about to send these states outside of the deliveries. No older
    /// state is sent to it afterwards.
    pub fn note_sent(&self, sent: &HashMap<OrderId, VersionSeen>) {
        let since = self.hub.received_since(self.hero_id);
        let overtaken = since.and_then(|since| self.hub.0.versions.overtaken(sent, since));
        self.outbox.overtake(sent, overtaken);
    }

    /// Notes that the session is about to show these states in a reply to a command. The socket
    /// still receives the frames of these versions, but no older ones.
    pub fn note_shown(&self, shown: &HashMap<OrderId, VersionSeen>) {
        if self.hero_id.is_none() {
            self.hub
                .0
                .versions
                .show(shown.iter().map(|(order_id, state)| (*order_id, state.version)));
            return;
        }
        let before =
            |state: &VersionSeen| VersionSeen { version: Version(state.version.0 - 1), ..*state };
        self.note_sent(&shown.iter().map(|(order_id, state)| (*order_id, before(state))).collect());
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let crowds = &self.hub.0.crowds;
        if let Some(mut crowd) = crowds.get_mut(&self.hero_id) {
            self.shard.remove(&self.outbox);
            crowd.sockets -= 1;
        }
        // The guard is released by now: this call locks the same part of the map again.
        crowds.remove_if(&self.hero_id, |_, crowd| crowd.sockets == 0);
        self.hub.0.counts.leave(self.hero_id);
    }
}

impl Crowd {
    fn new(since: Timestamp) -> Self {
        Self { shards: Vec::new(), sockets: 0, since }
    }

    fn add(&mut self, outbox: &Arc<Outbox>) -> Arc<Shard> {
        self.sockets += 1;
        // The last one first: the others have room only after sockets have left.
        if let Some(shard) = self.shards.iter().rev().find(|shard| shard.add(outbox)) {
            return Arc::clone(shard);
        }
        let shard = Arc::<Shard>::default();
        shard.add(outbox);
        self.shards.push(Arc::clone(&shard));
        shard
    }
}

impl Hub {
    #[must_use]
    pub fn new(keys: CursorKeys) -> Self {
        let versions = Versions::default();
        Self(Arc::new(HubState {
            crowds: DashMap::default(),
            counts: SocketCounts::default(),
            feed: StaffFeed::new(versions.clone()),
            versions,
            watermark: CurrentSafeCursor::new(keys),
            turn: Mutex::default(),
            writers: shard::writers(),
            menu_changed: Notify::new(),
        }))
    }

    pub fn set_clock(&self, now: Timestamp) {
        self.0.versions.set_clock(now);
    }

    /// Sets the cursor of the frames that are delivered from now on. Everything below it must have
    /// been handed to the outboxes.
    pub fn advance(&self, safe: ResumeCursor) {
        self.0.watermark.advance(safe);
        self.0.feed.mark(safe);
    }

    /// Adds a socket: its outbox gets every update that is delivered from now on. [`TooMany`]
    /// if the hero already has `most` sockets here.
    pub fn join(
        &self,
        hero_id: Option<HeroId>,
        most: usize,
        outbox: Arc<Outbox>,
    ) -> Result<Membership, TooMany> {
        let mut crowd =
            self.0.crowds.entry(hero_id).or_insert_with(|| Crowd::new(self.0.versions.latest()));
        if hero_id.is_some() && crowd.sockets >= most {
            return Err(TooMany);
        }
        let shard = crowd.add(&outbox);
        drop(crowd);
        self.0.counts.join(hero_id);
        Ok(Membership { hub: self.clone(), hero_id, shard, outbox })
    }

    /// Delivers updates, unless a newer state was delivered before. Returns the number of frames
    /// that it wrote, or tried to write, itself: tasks write those of heroes with many sockets.
    pub async fn deliver(&self, updates: &[Update]) -> usize {
        ::metrics::counter!(metrics::UPDATES_HEARD).increment(updates.len() as u64);
        self.spread(updates, Source::Bus).await
    }

    async fn spread(&self, updates: &[Update], source: Source) -> usize {
        let began = updates.iter().any(|update| update.trace.is_some()).then(SystemTime::now);
        let _turn = self.0.turn.lock().await;
        self.0.versions.note_received(updates);
        // Every gateway receives the updates of every hero. Most heroes have no socket here.
        let wanted: Vec<_> = updates.iter().filter_map(|update| self.wanted(update)).collect();
        let Judged { deliver, stale, read, flight } = self.0.versions.judge(&wanted, source);
        ::metrics::counter!(metrics::UPDATES_OUTDATED)
            .increment((wanted.len() - deliver.len()) as u64);
        // Staff was already shown something newer than the stale updates.
        self.0.feed.note(
            deliver
                .iter()
                .copied()
                .filter(|update| !stale.iter().any(|stale| std::ptr::eq(*stale, *update))),
        );
        self.0.feed.note_unsure(&read);
        let mark = self.0.watermark.get();
        let notices = |updates: Vec<&Update>| {
            updates.into_iter().map(|update| Notice::new(update, &mark)).collect::<Vec<_>>()
        };
        for (hero_id, updates) in by_hero(read.into_iter()) {
            let updates = notices(updates);
            self.shards_of(hero_id).iter().for_each(|shard| shard.miss(&updates));
        }
        let (mut here, mut elsewhere) = (0, 0);
        for (hero_id, updates) in by_hero(deliver.into_iter()) {
            let (shards, updates) = (self.shards_of(hero_id), notices(updates));
            let before = here + elsewhere;
            let alone = if let [alone] = &shards[..] { alone.idle_outboxes() } else { None };
            if let Some(outboxes) = alone {
                here += outboxes.len() * updates.len();
                shard::push_to(&outboxes, &updates).await;
            } else {
                let later =
                    shards.iter().map(|shard| shard.push_later(&updates, &flight, &self.0.writers));
                elsewhere += updates.len() * later.sum::<usize>();
            }
            if let Some(began) = began {
                trace_pushes(&updates, here + elsewhere - before, began);
            }
        }
        ::metrics::counter!(metrics::UPDATES_DELIVERED).increment((here + elsewhere) as u64);
        here
    }

    /// Notes that heroes or meals have changed, for [`Hub::menu_change`].
    pub fn note_menu_change(&self) {
        self.0.menu_changed.notify_one();
    }

    /// Waits until heroes or meals have changed. For one task only. Cancel safe.
    pub async fn menu_change(&self) {
        self.0.menu_changed.notified().await;
    }

    fn wanted<'a>(&self, update: &'a Update) -> Option<Wanted<'a>> {
        let since = self.received_since(Some(update.hero_id))?;
        Some(Wanted { update, since })
    }

    /// Returns the time since which every change of the hero's orders was received here; `None` if
    /// the hero has no socket here and staff does not watch.
    fn received_since(&self, hero_id: Option<HeroId>) -> Option<Timestamp> {
        let of_hero = self.0.crowds.get(&hero_id).map(|crowd| crowd.since);
        of_hero.into_iter().chain(self.0.feed.watched_since()).min()
    }

    fn shards_of(&self, hero_id: HeroId) -> Vec<Arc<Shard>> {
        self.0.crowds.get(&Some(hero_id)).map_or_else(Vec::new, |crowd| crowd.shards.clone())
    }

    #[must_use]
    pub fn watch(&self, store: Arc<dyn Store>, watch: Watch, begin: Begin) -> Watcher {
        self.0.feed.watch(store, watch, begin, self.0.versions.latest())
    }

    #[must_use]
    pub fn feed(&self) -> &StaffFeed {
        &self.0.feed
    }

    #[must_use]
    pub fn counts(&self) -> &SocketCounts {
        &self.0.counts
    }

    pub fn for_each(&self, mut visit: impl FnMut(&Outbox)) {
        for shard in self.shards() {
            for outbox in shard.outboxes() {
                visit(&outbox);
            }
        }
    }

    /// Closes every socket and event stream of a hero that was deleted.
    pub fn dismiss(&self, hero_id: HeroId) {
        for shard in self.shards_of(hero_id) {
            shard.outboxes().iter().for_each(|outbox| outbox.dismiss());
        }
    }

    /// Closes the sockets and event streams of a hero whose token was issued before it signed out.
    pub fn sign_out(&self, SignOut { hero_id, second }: SignOut) {
        for shard in self.shards_of(hero_id) {
            shard.outboxes().iter().for_each(|outbox| outbox.end_token(second));
        }
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.0.crowds.iter().map(|crowd| crowd.sockets).sum()
    }

    /// Returns a copy of the list of shards, so that no lock is held while they are visited.
    fn shards(&self) -> Vec<Arc<Shard>> {
        self.0.crowds.iter().flat_map(|crowd| crowd.shards.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::join;
    use futures_util::poll;
    use galley_protocol::{Deleted, HeroId, OrderId, Timestamp, Update, Version};
    use galley_store::CursorKeys;

    use super::{Hub, Membership, Out, Outbox};

    fn hero(id: i64) -> HeroId {
        HeroId::new(id).expect("an id")
    }

    fn update(hero_id: i64, version: i32) -> Update {
        let deleted =
            Deleted { order_id: OrderId::new(hero_id).expect("an id"), version: Version(version) };
        Update::of_deleted(deleted, hero(hero_id), Timestamp::EPOCH)
    }

    #[tokio::test]
    async fn of_two_deliveries_at_once_the_one_that_began_later_arrives_later() {
        const HEROES: i64 = 40;
        loop {
            let hub = Hub::new(CursorKeys::default());
            let join_hub = |id| {
                hub.join(Some(hero(id)), usize::MAX, Arc::new(Outbox::new(100_000))).expect("room")
            };
            let _crowd: Vec<Membership> =
                (2..=HEROES).flat_map(|id| [id; 60]).map(join_hub).collect();
            let place = join_hub(1);
            let all: Vec<Update> = (1..=HEROES).map(|id| update(id, 1)).collect();
            let second = [update(1, 2)];
            let (mut first, mut second) =
                (Box::pin(hub.deliver(&all)), Box::pin(hub.deliver(&second)));
            assert!(poll!(&mut first).is_pending(), "it lets others have their turn");
            if let Some(Out::Frame(_)) = place.outbox().try_next() {
                continue; // hero 1 came before the first yield, by chance: try again
            }
            _ = poll!(&mut second);
            join(first, second).await;
            let versions = std::iter::from_fn(|| {
                let Out::Frame(update) = place.outbox().try_next()? else { return None };
                Some(update.version.0)
            });
            assert_eq!(versions.collect::<Vec<_>>(), [1, 2]);
            return;
        }
    }
}
