//! A resync under way: what a client has missed, read from the database in pages.
//!
//! One page is in memory at a time, and the next one is read when it has been written. Frames wait meanwhile, because only the
//! last page brings the client to a new cursor: who goes before that has to come back to where the resync began.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use galley_protocol::close::CloseCode;
use galley_protocol::frame::ServerFrame;
use galley_protocol::{HeroId, OrderId, Problem, ResumeCursor};
use galley_store::{Changes, ChangesRequest};

use super::wire::{Closed, Frame};
use crate::desk::Desk;

/// The pause before a page is asked for again, when the refusal names none.
const RETRY: Duration = Duration::from_secs(1);

/// A resync under way.
pub struct CatchUp {
    desk: Desk,
    hero_id: HeroId,
    since: ResumeCursor,
    /// Of the first page: what changes afterwards on a page that was read already comes as a frame.
    cursor: Option<ResumeCursor>,
    after: Option<OrderId>,
    page: BoxFuture<'static, Result<Changes, Problem>>,
}

/// What to do with a page.
#[derive(Debug)]
pub struct Page {
    /// Nothing when nothing changed at all.
    pub frame: Option<Frame>,
    /// The client knows everything before this now.
    pub done: Option<ResumeCursor>,
}

impl CatchUp {
    /// Begins to read what changed since.
    pub fn begin(desk: Desk, hero_id: HeroId, since: ResumeCursor) -> Self {
        let page = read(desk.clone(), ChangesRequest { hero_id, since, after: None }, Duration::ZERO);
        Self { desk, hero_id, since, cursor: None, after: None, page }
    }

    /// Waits for the next page; asks again while the database is away. Safe to drop while it waits.
    ///
    /// # Errors
    /// The read fails and will fail again.
    pub async fn next(&mut self) -> Result<Page, Closed> {
        loop {
            match (&mut self.page).await {
                Ok(changes) => return Ok(self.turn(changes)),
                Err(problem) if problem.status == 503 => {
                    self.ask(problem.retry_after_ms.map_or(RETRY, Duration::from_millis));
                }
                Err(_) => return Err(Closed::With(CloseCode::TryLater)),
            }
        }
    }

    fn turn(&mut self, changes: Changes) -> Page {
        let Changes { orders, deleted, cursor, next } = changes;
        let cursor = *self.cursor.get_or_insert(cursor);
        let nothing = self.after.is_none() && orders.is_empty() && deleted.is_empty();
        self.after = next;
        if next.is_some() {
            self.ask(Duration::ZERO);
        }
        let last = next.is_none();
        let frame = ServerFrame::Resync { orders, deleted, cursor: if last { cursor } else { self.since } };
        Page { frame: (!nothing).then(|| Frame::from(&frame)), done: last.then_some(cursor) }
    }

    fn ask(&mut self, pause: Duration) {
        let Self { hero_id, since, after, .. } = *self;
        self.page = read(self.desk.clone(), ChangesRequest { hero_id, since, after }, pause);
    }
}

fn read(desk: Desk, request: ChangesRequest, pause: Duration) -> BoxFuture<'static, Result<Changes, Problem>> {
    async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        desk.changes(request).await
    }
    .boxed()
}
