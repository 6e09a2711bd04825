//! One connected WebSocket, from its welcome to its close.
//!
//! One task per socket. It carries out the commands of its client and sends what its outbox holds; it holds no lock while
//! it waits, and a client that does not read costs only its own outbox. Commands of one socket are answered in their order:
//! placements are handed in as they come and go into the same batches; any other command waits for those before it.

mod command;
pub mod handshake;
mod socket;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use galley_protocol::close::CloseCode;
use galley_protocol::frame::{ClientFrame, Command, Feed, Reply, Resume, ServerFrame, Totals, Watch, Welcome};
use galley_protocol::{HeroId, ResumeCursor, words};
use galley_store::{Changes, ChangesRequest, Snapshot, Store, StoreError};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;

use crate::feed::Watcher;
use crate::hub::{Out, Place};
use crate::state::AppState;
use socket::{Closed, Heard, Socket};

/// Placements of one socket that may wait for their commit at once; beyond, the socket is not read.
const MAX_IN_FLIGHT: usize = 128;
/// Updates gathered into one write.
const MAX_GATHERED: usize = 64;

/// Who speaks on a socket.
#[derive(Debug)]
pub enum Role {
    /// A hero, with what the welcome tells.
    Hero(Box<Snapshot>),
    /// Staff.
    Staff,
}

struct Session {
    state: AppState,
    place: Place,
    hero_id: Option<HeroId>,
    answers: FuturesOrdered<BoxFuture<'static, String>>,
    /// A command that waits for those before it.
    waiting: Option<ClientFrame>,
    /// A command that lets no other begin before it ends.
    exclusive: bool,
    watching: Option<(Watcher, Interval)>,
    leaving: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

/// Serves a socket until either side closes it.
pub async fn run(state: AppState, place: Place, role: Role, mut socket: Socket) {
    let hero_id = match &role {
        Role::Hero(snapshot) => Some(snapshot.hero.id),
        Role::Staff => None,
    };
    if let Role::Hero(snapshot) = &role {
        place.outbox().know(snapshot.cursor);
    }
    let welcome = welcome(&role);
    let mut session = Session {
        state,
        place,
        hero_id,
        answers: FuturesOrdered::new(),
        waiting: None,
        exclusive: false,
        watching: None,
        leaving: None,
    };
    let closed = match socket.send(welcome).await {
        Ok(()) => session.serve(&mut socket).await,
        Err(closed) => closed,
    };
    socket.close(closed).await;
}

impl Session {
    async fn serve(&mut self, socket: &mut Socket) -> Closed {
        loop {
            let may_read = self.waiting.is_none() && !self.exclusive && self.answers.len() < MAX_IN_FLIGHT;
            let done = tokio::select! {
                heard = socket.hear(), if may_read => self.take(socket, heard).await,
                Some(answer) = self.answers.next(), if !self.answers.is_empty() => self.answer(socket, answer).await,
                out = self.place.outbox().next() => self.send(socket, out).await,
                () = tick(&mut self.watching), if self.watching.is_some() => self.feed(socket).await,
                () = leave(&mut self.leaving), if self.leaving.is_some() => Err(Closed::With(CloseCode::Restart)),
            };
            if let Err(closed) = done {
                return closed;
            }
        }
    }

    /// Takes one message of the client.
    async fn take(&mut self, socket: &mut Socket, heard: Heard) -> Result<(), Closed> {
        self.place.outbox().heard();
        let text = match heard {
            Heard::Text(text) => text,
            Heard::Control => return Ok(()),
            Heard::Closed(closed) => return Err(closed),
        };
        let frame = match ClientFrame::parse(&text) {
            Ok(frame) => frame,
            Err((id, problem)) => {
                let error = ServerFrame::Error { id, problem: Box::new(problem) }.encode();
                self.answers.push_back(Box::pin(std::future::ready(error)));
                return Ok(());
            }
        };
        if matches!(frame.command, Command::Place(_)) {
            self.answers.push_back(command::execute(&self.state, self.hero_id, frame));
            return Ok(());
        }
        self.waiting = Some(frame);
        self.begin_waiting(socket).await
    }

    /// Sends an answer with all others that are ready, and lets the waiting command begin when nothing is before it.
    async fn answer(&mut self, socket: &mut Socket, answer: String) -> Result<(), Closed> {
        socket.feed(answer).await?;
        while let Some(Some(answer)) = futures_util::FutureExt::now_or_never(self.answers.next()) {
            socket.feed(answer).await?;
        }
        socket.flush().await?;
        if self.answers.is_empty() {
            self.exclusive = false;
        }
        self.begin_waiting(socket).await
    }

    async fn begin_waiting(&mut self, socket: &mut Socket) -> Result<(), Closed> {
        if !self.answers.is_empty() {
            return Ok(());
        }
        let Some(frame) = self.waiting.take() else { return Ok(()) };
        match frame.command {
            Command::Watch(watch) if self.hero_id.is_none() => {
                let totals = self.watch(watch).await;
                let reply = Reply::Watching { watching: true, totals };
                socket.send(ServerFrame::Reply { id: frame.id, reply }.encode()).await
            }
            Command::Place(_)
            | Command::Cancel { .. }
            | Command::Delete { .. }
            | Command::Get { .. }
            | Command::Orders { .. }
            | Command::Menu { .. }
            | Command::Watch(_)
            | Command::Ping
            | Command::Help => {
                self.exclusive = true;
                self.answers.push_back(command::execute(&self.state, self.hero_id, frame));
                Ok(())
            }
        }
    }

    /// Does what the outbox says; of frames, all that wait go in few writes.
    async fn send(&mut self, socket: &mut Socket, out: Out) -> Result<(), Closed> {
        match out {
            Out::Frame(frame) => {
                socket.feed_shared(frame).await?;
                for _ in 1..MAX_GATHERED {
                    match self.place.outbox().try_next() {
                        Some(Out::Frame(frame)) => socket.feed_shared(frame).await?,
                        Some(other) => {
                            socket.flush().await?;
                            return Box::pin(self.send(socket, other)).await;
                        }
                        None => break,
                    }
                }
                socket.flush().await
            }
            Out::Resync(since) => self.resync(socket, since).await,
            Out::Ping => socket.send_message(Message::Ping(bytes::Bytes::new())).await,
            Out::Leave(after) => {
                self.leaving = Some(Box::pin(tokio::time::sleep(after)));
                let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                socket.send(ServerFrame::Reconnect { after_ms }.encode()).await
            }
            Out::Abandon => Err(Closed::Gone),
        }
    }

    async fn resync(&mut self, socket: &mut Socket, since: ResumeCursor) -> Result<(), Closed> {
        let Some(hero_id) = self.hero_id else { return Ok(()) };
        match changes(&**self.state.desk.store(), hero_id, since).await {
            Ok(Changes { orders, deleted, cursor, .. }) => {
                ::metrics::counter!(crate::metrics::RESYNCS).increment(1);
                self.place.outbox().know(cursor);
                socket.send(ServerFrame::Resync { orders, deleted, cursor }.encode()).await
            }
            // The database is away: the updates are still missing, the next attempt comes after a pause.
            Err(StoreError::Unavailable(_)) => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.place.outbox().fall_behind(Some(since));
                Ok(())
            }
            Err(StoreError::Failed(_)) => Err(Closed::With(CloseCode::Policy)),
        }
    }

    async fn watch(&mut self, watch: Watch) -> Totals {
        let mut interval = tokio::time::interval(Duration::from_secs(1) / u32::from(watch.max_rate.max(1)));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.watching = Some((self.state.hub.feed().watch(watch), interval));
        self.state.totals.now(&self.state.desk).await
    }

    async fn feed(&mut self, socket: &mut Socket) -> Result<(), Closed> {
        let Some((watcher, _)) = &self.watching else { return Ok(()) };
        let changed = watcher.take();
        if changed.orders.is_empty() && changed.deleted.is_empty() {
            return Ok(());
        }
        let totals = self.state.totals.now(&self.state.desk).await;
        let feed = Feed { orders: &changed.orders, deleted: &changed.deleted, totals };
        socket.send(ServerFrame::Feed(feed).encode()).await
    }
}

/// All pages of what changed since.
async fn changes(store: &dyn Store, hero_id: HeroId, since: ResumeCursor) -> Result<Changes, StoreError> {
    let page = async |after| {
        let mut pages = store.changes(&[ChangesRequest { hero_id, since, after }]).await?;
        pages.pop().ok_or_else(|| StoreError::Failed("no page of changes".to_owned()))
    };
    let mut all: Changes = page(None).await?;
    while all.next.is_some() {
        let Changes { orders, deleted, next, .. } = page(all.next).await?;
        all.orders.extend(orders);
        all.deleted.extend(deleted);
        all.next = next;
    }
    Ok(all)
}

async fn tick(watching: &mut Option<(Watcher, Interval)>) {
    if let Some((_, interval)) = watching {
        interval.tick().await;
    }
}

async fn leave(leaving: &mut Option<std::pin::Pin<Box<tokio::time::Sleep>>>) {
    if let Some(moment) = leaving {
        moment.await;
    }
}

fn welcome(role: &Role) -> String {
    let welcome = match role {
        Role::Staff => {
            Welcome { hero: None, resume: Resume::Fresh, orders: &[], deleted: &[], cursor: None, help: words::STAFF_HELP }
        }
        Role::Hero(snapshot) => Welcome {
            hero: Some(&snapshot.hero),
            resume: snapshot.resume,
            orders: &snapshot.orders,
            deleted: &snapshot.deleted,
            cursor: Some(snapshot.cursor),
            help: words::HELP,
        },
    };
    ServerFrame::Welcome(welcome).encode()
}
