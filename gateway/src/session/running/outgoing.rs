//! The frames that one client gets without a command, on any wire: updates, resyncs, the staff
//! feed, the hero, the menu, and the hint to reconnect.
//!
//! A session waits for the next event of the stream, among other things, and then lets the stream
//! send it on its wire. The stream holds no lock while it waits, and a client that does not read
//! costs only its own outbox.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use galley_protocol::close_code::CloseCode;
use galley_protocol::frame::{Resume, ServerFrame, Totals};
use galley_protocol::{HeroId, OrderId, SignedCursor, Watch, jwt};
use rand::RngExt as _;
use tokio::time::Sleep;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::catch_up::{CatchUp, CatchUpPage};
use crate::auth::Claims;
use crate::feed::{self, Begin, FeedDue, Watcher, WatcherFrame};
use crate::hub::{Membership, Missed, Out, Outbox, VersionSeen};
use crate::limits::Seat;
use crate::metrics;
use crate::session::wire::{Closed, Wire, WireFrame, send_frame};
use crate::state::AppState;

/// The most updates in one write.
const MAX_GATHERED: usize = 64;

/// The time after which a client reconnects when the gateway stops, in milliseconds. The connection
/// is closed at once, so the client reaches another gateway, or none until the next one listens. A
/// shorter time would cost too many attempts: a browser keeps the `retry` of a stream as its
/// interval while no gateway listens.
const COME_BACK_MS: std::ops::Range<u64> = 250..500;
/// Timeout of the write of a client's last frame when the gateway stops.
const SENDING_AWAY: Duration = Duration::from_millis(500);

pub struct Stream {
    state: AppState,
    place: Membership,
    catch_up: Option<Box<CatchUp>>,
    watcher: Option<Box<Watcher>>,
    /// The wait until the socket is closed, once the outbox has asked for it.
    leaving: Option<Pin<Box<Sleep>>>,
    // Both are held until the stream ends.
    _seat: Seat,
    _token: TaskTrackerToken,
}

#[derive(Debug)]
pub enum StreamEvent {
    Out(Out),
    Page(Result<CatchUpPage, Closed>),
    /// A frame of the staff feed may be due.
    Due(FeedDue),
    /// The time has come to close the client, because the gateway stops or the socket is old.
    Left,
}

impl Stream {
    pub fn new(state: AppState, place: Membership, seat: Seat, token: TaskTrackerToken) -> Self {
        Self {
            state,
            place,
            catch_up: None,
            watcher: None,
            leaving: None,
            _seat: seat,
            _token: token,
        }
    }

    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Returns true if only the outbox can have something to send.
    pub fn may_idle(&self) -> bool {
        self.catch_up.is_none() && self.watcher.is_none() && self.leaving.is_none()
    }

    pub fn outbox(&self) -> &Outbox {
        self.place.outbox()
    }

    /// `None` for staff.
    pub fn hero_id(&self) -> Option<HeroId> {
        self.place.hero_id()
    }

    /// Sets the expiry of the client's token, in seconds since the epoch.
    pub fn take_token(&self, claims: Claims) {
        self.place.outbox().take_token(claims);
    }

    /// Notes a sign of life of the peer.
    pub fn note_life(&self) {
        self.place.outbox().note_life();
    }

    /// Starts the staff feed, from now on or from the client's cursor. `told` are the totals in the
    /// reply. Returns how the watch began, and the cursor from which it can be resumed.
    pub async fn watch(
        &mut self,
        mut watch: Watch,
        told: Option<Totals>,
    ) -> (Option<Resume>, Option<SignedCursor>) {
        let since = self.state.commands.read_cursor(watch.cursor.take()).await;
        let now = match self.state.hub.feed().cursor() {
            Some(now) => Some(now),
            None => self.state.commands.store().present().await.ok(),
        };
        let (resume, cursor) = match since {
            None => (None, now),
            Some(since) if now.is_some_and(|now| feed::reaches(since, now)) => {
                (Some(Resume::Resumed), Some(since))
            }
            Some(_) => (Some(Resume::Resynced), now),
        };
        let begin = Begin { told, cursor, resumes: resume == Some(Resume::Resumed) };
        let store = Arc::clone(self.state.commands.store());
        self.watcher = Some(Box::new(self.state.hub.watch(store, watch, begin)));
        (resume, cursor.map(|cursor| self.state.commands.store().cursor_keys().sign(cursor)))
    }

    /// Notes that an answer is about to show these states: no later frame shows an older one.
    pub fn note_shown(&self, shown: &[(OrderId, VersionSeen)]) {
        if !shown.is_empty() {
            self.place.note_shown(&shown.iter().copied().collect());
        }
    }

    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> StreamEvent {
        let outbox = self.place.outbox();
        tokio::select! {
            out = outbox.next(), if self.catch_up.is_none() => StreamEvent::Out(out),
            out = outbox.next_urgent(), if self.catch_up.is_some() => StreamEvent::Out(out),
            page = page(&mut self.catch_up), if self.catch_up.is_some() => StreamEvent::Page(page),
            due = due(&mut self.watcher), if self.watcher.is_some() => StreamEvent::Due(due),
            () = leave(&mut self.leaving), if self.leaving.is_some() => StreamEvent::Left,
        }
    }

    pub async fn send_event(
        &mut self,
        event: StreamEvent,
        wire: &mut impl Wire,
    ) -> Result<(), Closed> {
        match event {
            StreamEvent::Out(out) => self.out(out, wire).await,
            StreamEvent::Page(page) => self.page(page?, wire).await,
            StreamEvent::Due(due) => self.feed(due, wire).await,
            StreamEvent::Left => self.send_away(wire).await,
        }
    }

    async fn out(&mut self, out: Out, wire: &mut impl Wire) -> Result<(), Closed> {
        let mut next = Some(out);
        let mut gathered = 0;
        let mut oldest = None;
        while let Some(Out::Frame(update)) = next {
            oldest = oldest.or(Some(update.time));
            wire.put(WireFrame::from(update)).await?;
            gathered += 1;
            next = if gathered < MAX_GATHERED { self.place.outbox().try_next() } else { None };
        }
        wire.flush().await?;
        if let Some(oldest) = oldest {
            metrics::record_push_lag(oldest);
        }
        match next {
            Some(other) => self.carry_out(other, wire).await,
            None => Ok(()),
        }
    }

    async fn carry_out(&mut self, out: Out, wire: &mut impl Wire) -> Result<(), Closed> {
        match out {
            Out::Frame(update) => send_frame(wire, WireFrame::from(update)).await,
            Out::Resync(missed) => {
                self.resync(missed);
                Ok(())
            }
            Out::Resource(frame) => send_frame(wire, WireFrame::from(frame)).await,
            Out::Ping => wire.ping().await,
            Out::Leave(after) => {
                self.leaving = Some(Box::pin(tokio::time::sleep(after)));
                Ok(())
            }
            Out::Abandon => Err(Closed::Gone),
            Out::Expiring => {
                let left = self.place.outbox().token_left(jwt::now());
                let after_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                send_frame(wire, WireFrame::from(&ServerFrame::Expiring { after_ms })).await
            }
            Out::Expired => Err(Closed::With(CloseCode::TokenExpired)),
            Out::HeroGone => Err(Closed::With(CloseCode::Policy)),
        }
    }

    /// Sends the client the time to reconnect, and ends the session. It does not wait for a client
    /// that takes no bytes, because the restart would wait as well.
    async fn send_away(&mut self, wire: &mut impl Wire) -> Result<(), Closed> {
        let after_ms = rand::rng().random_range(COME_BACK_MS);
        let reconnect = WireFrame::from(&ServerFrame::Reconnect { after_ms });
        let sent = send_frame(
            wire,
            WireFrame { retry: Some(Duration::from_millis(after_ms)), ..reconnect },
        );
        tokio::time::timeout(SENDING_AWAY, sent).await.unwrap_or(Err(Closed::Gone))?;
        Err(Closed::With(CloseCode::Restart))
    }

    fn resync(&mut self, missed: Missed) {
        let begin = |hero_id| Box::new(CatchUp::begin(&self.state, hero_id, missed));
        self.catch_up = self.hero_id().map(begin);
    }

    async fn page(
        &mut self,
        CatchUpPage { frame, sent, is_last, known }: CatchUpPage,
        wire: &mut impl Wire,
    ) -> Result<(), Closed> {
        if let Some(frame) = frame {
            self.place.note_sent(&sent);
            ::metrics::counter!(metrics::RESYNCS).increment(1);
            send_frame(wire, frame).await?;
        }
        if let Some(cursor) = known {
            self.place.outbox().know(cursor);
        }
        if is_last {
            self.catch_up = None;
        }
        Ok(())
    }

    async fn feed(&mut self, due: FeedDue, wire: &mut impl Wire) -> Result<(), Closed> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        match watcher.frame(due, &self.state.totals).await {
            Some(WatcherFrame { text, cursor }) => {
                send_frame(wire, WireFrame { kind: "feed", cursor, retry: None, text }).await
            }
            None => Ok(()),
        }
    }
}

async fn page(catch_up: &mut Option<Box<CatchUp>>) -> Result<CatchUpPage, Closed> {
    match catch_up {
        Some(catch_up) => catch_up.next().await,
        None => std::future::pending().await,
    }
}

async fn due(watcher: &mut Option<Box<Watcher>>) -> FeedDue {
    match watcher {
        Some(watcher) => watcher.due().await,
        None => std::future::pending().await,
    }
}

async fn leave(leaving: &mut Option<Pin<Box<Sleep>>>) {
    if let Some(moment) = leaving {
        moment.await;
    }
}
