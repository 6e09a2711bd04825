//! A resync: the changes that a client has missed, read from the database in pages.
//!
//! Only one page is in memory at a time; the next one is read after it has been written. Frames
//! wait meanwhile, because only the last page has a new cursor: a client that disconnects before it
//! resumes from the start of the resync.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use galley_protocol::close_code::CloseCode;
use galley_protocol::frame::ServerFrame;
use galley_protocol::{HeroId, OrderId, Problem, ResumeCursor};
use galley_store::{CHANGES_PAGE, Changes, ChangesRequest, States};

use crate::commands::Commands;
use crate::hub::{Missed, VersionSeen};
use crate::limits::{CallerKey, ReadTurns};
use crate::retry::pause_after;
use crate::session::wire::{Closed, WireFrame};
use crate::state::AppState;

pub struct CatchUp {
    commands: Commands,
    turns: Arc<ReadTurns>,
    hero_id: HeroId,
    missed: Missed,
    /// The cursor of the first page. A later change of an order on it comes as a frame.
    cursor: Option<ResumeCursor>,
    after: Option<OrderId>,
    page: BoxFuture<'static, Result<Changes, Problem>>,
    /// The failures of this page so far.
    refusals: u32,
}

#[derive(Debug)]
pub struct CatchUpPage {
    /// The frame to send; `None` if nothing changed at all.
    pub frame: Option<WireFrame>,
    pub sent: HashMap<OrderId, VersionSeen>,
    /// True if the resync ends with this page.
    pub is_last: bool,
    /// The cursor up to which the client now has everything, including changes of which no update
    /// arrived; `None` if this page does not establish one.
    pub known: Option<ResumeCursor>,
}

impl CatchUp {
    pub fn begin(state: &AppState, hero_id: HeroId, missed: Missed) -> Self {
        let (commands, turns) = (state.commands.clone(), Arc::clone(&state.limits.snapshots));
        let mut catch_up = Self {
            commands,
            turns,
            hero_id,
            missed,
            cursor: None,
            after: None,
            page: std::future::pending().boxed(),
            refusals: 0,
        };
        catch_up.ask(Duration::ZERO);
        catch_up
    }

    /// Waits for the next page. Repeats a read unless it would fail again. Cancel safe.
    pub async fn next(&mut self) -> Result<CatchUpPage, Closed> {
        loop {
            match (&mut self.page).await {
                Ok(changes) => return Ok(self.turn(changes)),
                Err(problem) if matches!(problem.status, 429 | 503) => {
                    self.ask(pause_after(self.refusals));
                    self.refusals += 1;
                }
                Err(_) => return Err(Closed::With(CloseCode::TryLater)),
            }
        }
    }

    fn turn(&mut self, changes: Changes) -> CatchUpPage {
        let Changes { orders, deleted, cursor, next } = changes.bounded();
        let cursor = *self.cursor.get_or_insert(cursor);
        let nothing = self.after.is_none() && orders.is_empty() && deleted.is_empty();
        self.after = next;
        self.refusals = 0;
        let is_last = next.is_none();
        let sent = orders.iter().map(VersionSeen::of);
        let sent = sent.chain(deleted.iter().map(VersionSeen::of_deleted)).collect();
        if !is_last {
            self.ask(Duration::ZERO);
        }
        // Only the last page has the new cursor: a client that disconnects earlier starts again.
        let told_until = if is_last { cursor } else { self.missed.since() };
        let told_until = self.commands.store().cursor_keys().sign(told_until);
        let frame = ServerFrame::Resync { orders, deleted, cursor: told_until };
        let known = is_last && matches!(self.missed, Missed::Since(_));
        CatchUpPage {
            frame: (!nothing).then(|| WireFrame::from(&frame)),
            sent,
            is_last,
            known: known.then_some(cursor),
        }
    }

    fn ask(&mut self, pause: Duration) {
        let page = read(self.commands.clone(), self.hero_id, &self.missed, self.after);
        let (turns, caller) = (Arc::clone(&self.turns), CallerKey::Hero(self.hero_id));
        self.page = async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let _turn = turns.take(caller).await?;
            page.await
        }
        .boxed();
    }
}

fn read(
    commands: Commands,
    hero_id: HeroId,
    missed: &Missed,
    after: Option<OrderId>,
) -> BoxFuture<'static, Result<Changes, Problem>> {
    match missed {
        Missed::Since(since) => {
            let request = ChangesRequest { hero_id, since: *since, after };
            async move { commands.changes(request).await }.boxed()
        }
        Missed::Orders { ids, until, .. } => {
            let mut remaining = ids
                .range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
                .copied();
            let ids: Vec<_> = remaining.by_ref().take(CHANGES_PAGE).collect();
            let (next, cursor) = (remaining.next().and(ids.last().copied()), *until);
            async move {
                let States { orders, deleted } = commands.states(ids).await?;
                Ok(Changes { orders, deleted, cursor, next })
            }
            .boxed()
        }
    }
}
