//! One watcher of the staff feed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use galley_protocol::frame::{Feed as FeedFrame, OrderJson, ServerFrame, Totals, Watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::Shared;
use super::frames::{Key, Made};
use super::newest::Changed;
use crate::desk::Desk;
use crate::totals;

/// The bytes of orders after which a `feed` frame ends; what is beyond comes with the next one.
const MAX_FRAME: usize = 256 * 1_024;

/// One watcher; the feed forgets it when it is dropped.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    watch: Watch,
    ticks: Interval,
    /// Up to where it has been told.
    place: u64,
    /// The totals that it was told last.
    told: Option<Totals>,
    /// When it was told of a change last, until it has been told totals that were counted after that.
    owed: Option<Instant>,
}

impl Watcher {
    pub(super) fn new(shared: Arc<Shared>, watch: Watch, place: u64, told: Option<Totals>) -> Self {
        let period = Duration::from_secs(1) / u32::from(watch.max_rate.max(1));
        // Watchers of one rate tick together, so that they can share frames.
        let now = Instant::now();
        let ticked = now.duration_since(shared.born).as_nanos() / period.as_nanos();
        let next = u64::try_from((ticked + 1) * period.as_nanos()).unwrap_or(0);
        let mut ticks = interval_at(shared.born + Duration::from_nanos(next), period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { shared, watch, ticks, place, told, owed: Some(now) }
    }

    /// Waits until the next frame may go out. Safe to drop while it waits.
    pub async fn tick(&mut self) -> Instant {
        self.ticks.tick().await
    }

    /// The frame of this tick, if anything is to be told. After the last change come the totals once more if they turn out
    /// different from those that were told, because those may have been counted before the change.
    pub async fn frame(&mut self, tick: Instant, totals: &totals::Totals, desk: &Desk) -> Option<Bytes> {
        let made = if self.shared.newest().end() == self.place {
            None
        } else {
            let Self { shared, watch, place, .. } = &*self;
            let totals = totals.now(desk).await.map(|count| count.totals);
            let key = Key { watch: watch.clone(), tick, from: *place };
            Some(shared.frames.get_or_make(key, |key| {
                let changed = shared.newest().since(key.from, &key.watch, MAX_FRAME);
                Made { text: encode(&changed, totals), totals, to: changed.to }
            }))
        };
        if let Some(Made { text, totals, to }) = made {
            self.place = to;
            if text.is_some() {
                self.told = totals;
                self.owed = Some(Instant::now());
                return text;
            }
        }
        let owed = self.owed?;
        let count = totals.now(desk).await.filter(|count| count.at > owed)?;
        self.owed = None;
        if self.told.replace(count.totals) == Some(count.totals) {
            return None;
        }
        Some(ServerFrame::Feed(FeedFrame { orders: &[], deleted: &[], totals: self.told }).encode().into())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

fn encode(changed: &Changed, totals: Option<Totals>) -> Option<Bytes> {
    if changed.orders.is_empty() && changed.deleted.is_empty() {
        return None;
    }
    let orders: Vec<OrderJson<'_>> = changed.orders.iter().filter_map(|json| OrderJson::parse(json)).collect();
    let feed = FeedFrame { orders: &orders, deleted: &changed.deleted, totals };
    Some(ServerFrame::Feed(feed).encode().into())
}
