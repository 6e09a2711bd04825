//! A watcher of the staff feed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use galley_protocol::frame::{Feed as FeedFrame, OrderJson, ServerFrame, Totals};
use galley_protocol::{ResumeCursor, SignedCursor, Watch};
use galley_store::{ChangesOfAll, CursorKeys, Store};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::FeedState;
use super::frames::{FrameKey, Made};
use super::missing::Missing;
use super::newest::{FeedBatch, FeedChange};
use crate::metrics;
use crate::totals_cache;

/// Size of the orders, in bytes, at which a `feed` frame ends. The next frame brings the others.
const MAX_FRAME: usize = 256 * 1_024;
/// Size of the frames of one tick, in bytes, at which a watcher that is behind waits for the next
/// tick.
const MAX_OF_TICK: usize = 16 * MAX_FRAME;

/// Dropping it removes it from the feed.
pub struct Watcher {
    shared: Arc<FeedState>,
    store: Arc<dyn Store>,
    watch: Watch,
    ticks: Interval,
    /// Position at which it began.
    start: u64,
    /// Position up to which it was sent the changes.
    place: u64,
    /// Position up to which losses have been noticed.
    noticed: u64,
    /// Position after the changes that a page left to later frames. A frame may carry a cursor only
    /// when it has reached this.
    left: u64,
    /// Cursor to resume after everything that it was sent.
    cursor: Option<ResumeCursor>,
    /// Reader of the changes that it has missed, until it has sent them.
    missing: Option<Box<Missing>>,
    /// True while it resumes: missed changes are sent before any others.
    resumes: bool,
    /// True if changes were dropped before it was sent them, and no frame has said so yet.
    gap: bool,
    /// The tick in progress, while more changes are due in it.
    behind: Option<Instant>,
    /// Size of the frames sent in that tick, in bytes.
    bytes: usize,
    /// Totals that it was sent last.
    told: Option<Totals>,
    /// Moment of the last frame of changes, until totals have been counted after it.
    owed: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Begin {
    /// Totals that it was sent, if any.
    pub told: Option<Totals>,
    /// Cursor that it was sent, or brings.
    pub cursor: Option<ResumeCursor>,
    /// True if it resumes from the cursor.
    pub resumes: bool,
}

#[derive(Debug)]
pub enum FeedDue {
    /// A tick: changes may be due.
    Tick(Instant),
    /// A page of missed changes.
    Page(ChangesOfAll),
}

#[derive(Debug)]
pub struct WatcherFrame {
    pub text: Bytes,
    /// Cursor to resume after the frame; `None` while something is missing.
    pub cursor: Option<SignedCursor>,
}

impl Watcher {
    pub(super) fn new(
        shared: Arc<FeedState>,
        store: Arc<dyn Store>,
        watch: Watch,
        start: u64,
        begin: Begin,
    ) -> Self {
        let period = Duration::from_secs(1) / u32::from(watch.max_rate.max(1));
        // Watchers of one rate tick together, so that they can share frames.
        let now = Instant::now();
        let ticked = now.duration_since(shared.born).as_nanos() / period.as_nanos();
        let next = u64::try_from((ticked + 1) * period.as_nanos()).unwrap_or(0);
        let mut ticks = interval_at(shared.born + Duration::from_nanos(next), period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let Begin { told, cursor, resumes } = begin;
        let mut watcher = Self {
            shared,
            store,
            watch,
            ticks,
            start,
            place: start,
            noticed: start,
            left: start,
            cursor,
            missing: None,
            resumes,
            gap: false,
            behind: None,
            bytes: 0,
            told,
            // The totals that it was sent may be outdated already.
            owed: Some(now),
        };
        if resumes {
            watcher.read_missing();
        }
        watcher
    }

    /// Waits until something may be due. Safe to drop while it waits.
    pub async fn due(&mut self) -> FeedDue {
        if let Some(tick) = self.behind {
            // Other tasks run between two frames of a watcher that is behind.
            tokio::task::yield_now().await;
            return FeedDue::Tick(tick);
        }
        // While a watcher resumes, missed changes come before those of any tick.
        let Self { ticks, missing, resumes, .. } = self;
        tokio::select! {
            page = page(missing), if missing.is_some() => FeedDue::Page(page),
            tick = ticks.tick(), if !*resumes || missing.is_none() => FeedDue::Tick(tick),
        }
    }

    pub async fn frame(
        &mut self,
        due: FeedDue,
        totals: &totals_cache::TotalsCache,
    ) -> Option<WatcherFrame> {
        match due {
            FeedDue::Tick(tick) => self.changes(tick, totals).await,
            FeedDue::Page(page) => self.page(page),
        }
    }

    /// Returns a frame of the changes since the last one. Some time after the last change it
    /// returns the totals once more, if they differ from those sent: those may have been counted
    /// before the change.
    async fn changes(
        &mut self,
        tick: Instant,
        totals: &totals_cache::TotalsCache,
    ) -> Option<WatcherFrame> {
        self.shared.make_sure(&*self.store).await;
        self.notice_loss();
        if self.behind.take().is_none() {
            self.bytes = 0;
        }
        if self.gap || self.shared.newest().end() != self.place {
            let counted = totals.now(&*self.store).await.map(|count| count.totals);
            let key = FrameKey {
                watch: self.watch.clone(),
                tick,
                from: self.place,
                gap: std::mem::take(&mut self.gap),
                missing: self.missing.is_some(),
                // Zero once it has been reached, so that watchers with equal frames have equal
                // keys.
                left: if self.place < self.left { self.left } else { 0 },
            };
            let Made { text, totals, to, more, cursor } = self
                .shared
                .frames
                .get_or_make(key, |key| self.shared.make(key, counted, self.store.cursor_keys()));
            self.place = to;
            self.cursor = cursor.map(|(cursor, _)| cursor).or(self.cursor);
            if let Some(text) = text {
                let cursor = cursor.map(|(_, signed)| signed);
                self.bytes += text.len();
                self.behind = (more && self.bytes < MAX_OF_TICK).then_some(tick);
                self.told = totals;
                self.owed = Some(Instant::now());
                return Some(WatcherFrame { text, cursor });
            }
        }
        let owed = self.owed?;
        let count = totals.now(&*self.store).await.filter(|count| count.at > owed)?;
        self.owed = None;
        if self.told.replace(count.totals) == Some(count.totals) {
            return None;
        }
        let feed = FeedFrame { totals: self.told, ..FeedFrame::default() };
        Some(WatcherFrame { text: ServerFrame::Feed(feed).encode().into(), cursor: None })
    }

    /// Returns a frame of a page of missed changes, without those that a frame of changes has sent
    /// or will send. If an older state of an order may still arrive, the order is left to later
    /// frames, which send its newest state: nothing older may follow the page.
    fn page(&mut self, page: ChangesOfAll) -> Option<WatcherFrame> {
        let goes_on = self.missing.as_mut().is_some_and(|missing| missing.go_on(&page));
        if !goes_on {
            (self.missing, self.resumes) = (None, false);
        }
        let mut newest = self.shared.newest();
        let deletions = page.deleted.into_iter().map(FeedChange::of_deletion);
        let read = deletions.chain(page.orders.iter().map(FeedChange::of_order));
        let read: Vec<_> = read
            .filter(|change| change.is_for(&self.watch) && newest.is_news(change, self.start))
            .collect();
        // From here on no older states of these orders are noted.
        let is_under_way = self.shared.versions.show(read.iter().map(FeedChange::version));
        let changed = FeedBatch::of(read.into_iter().filter(|change| {
            let is_left =
                (is_under_way || newest.knows_older(change)) && newest.note(change.clone());
            if is_left {
                self.left = newest.end();
            }
            !is_left
        }));
        let cursor =
            if goes_on || self.place < self.left { None } else { newest.cursor_at(self.place) };
        drop(newest);
        self.cursor = cursor.or(self.cursor);
        let cursor = cursor.map(|cursor| self.store.cursor_keys().sign(cursor));
        let text =
            encode(&changed, &FeedFrame { totals: self.told, cursor, ..FeedFrame::default() })?;
        Some(WatcherFrame { text, cursor })
    }

    /// Notices changes that were dropped unsent, and begins to read them.
    fn notice_loss(&mut self) {
        let newest = self.shared.newest();
        if self.place.max(self.noticed) >= newest.lost() {
            return;
        }
        let cursor = newest.cursor_at(self.place);
        self.noticed = newest.lost();
        drop(newest);
        self.gap = true;
        ::metrics::counter!(metrics::FEED_GAPS).increment(1);
        if let Some(missing) = &mut self.missing {
            missing.again(cursor);
        } else {
            self.cursor = cursor.or(self.cursor);
            self.read_missing();
        }
    }

    fn read_missing(&mut self) {
        if let Some(cursor) = self.cursor {
            let readers = Arc::clone(&self.shared.readers);
            self.missing = Some(Box::new(Missing::since(cursor, Arc::clone(&self.store), readers)));
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

impl FeedState {
    fn make(&self, key: &FrameKey, totals: Option<Totals>, keys: &CursorKeys) -> Made {
        let newest = self.newest();
        let changed = newest.since(key.from, &key.watch, MAX_FRAME);
        let cursor =
            if key.missing || changed.to < key.left { None } else { newest.cursor_at(changed.to) };
        let more = changed.to < newest.end();
        drop(newest);
        let cursor = cursor.map(|cursor| (cursor, keys.sign(cursor)));
        let feed = FeedFrame {
            totals,
            gap: key.gap,
            cursor: cursor.map(|(_, signed)| signed),
            ..FeedFrame::default()
        };
        Made { text: encode(&changed, &feed), totals, to: changed.to, more, cursor }
    }
}

async fn page(missing: &mut Option<Box<Missing>>) -> ChangesOfAll {
    match missing {
        Some(missing) => missing.page().await,
        None => std::future::pending().await,
    }
}

/// Encodes a frame. Returns `None` if it would be empty.
fn encode(changed: &FeedBatch, feed: &FeedFrame<'_>) -> Option<Bytes> {
    if changed.orders.is_empty() && changed.deleted.is_empty() && !feed.gap {
        return None;
    }
    let orders: Vec<OrderJson<'_>> =
        changed.orders.iter().filter_map(|json| OrderJson::parse(json)).collect();
    Some(
        ServerFrame::Feed(FeedFrame { orders: &orders, deleted: &changed.deleted, ..feed.clone() })
            .encode()
            .into(),
    )
}
