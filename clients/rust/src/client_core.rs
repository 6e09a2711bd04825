//! The state that the calls of a client share with the task that holds its socket. The lock is
//! short, and held over no wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use galley_protocol::frame::{Command, CommandId, Received, Resume};
use galley_protocol::{BearerToken, Deleted, GetOrder, Order, OrderId, Picture, Watch};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::sleep;

use crate::client_error::slug_of;
use crate::sent_commands::{CommandOutcome, OtherLine, SentCommands, TakenCommand};
use crate::{
    ClientError, ClientEvent, ClientOptions, ClientState, EndCause, EndReason, KeptPlacement,
    SocketTarget,
};

/// Problems after which the same command may be sent again: nothing was changed, or doing it twice
/// does no harm.
const LATER: [&str; 4] = ["overloaded", "rate-limited", "draining", "unavailable"];
/// So often; then the problem is the answer.
const MAX_DEFERRED: u32 = 10;
/// The gateway's hint when to send a command again is believed up to this.
const MAX_LATER: Duration = Duration::from_mins(1);

pub struct ClientCore {
    pub options: ClientOptions,
    pub target: SocketTarget,
    /// A line is ready to go out.
    pub wake: Notify,
    /// The pause is to end now.
    pub hurry: Notify,
    /// True when the client is to end.
    pub closing: watch::Sender<bool>,
    pub state: watch::Sender<ClientState>,
    pub events: broadcast::Sender<ClientEvent>,
    inner: Mutex<Inner>,
}

struct Inner {
    commands: SentCommands,
    picture: Picture,
    /// The filter of the feed of staff, sent again after each welcome.
    watch: Option<Watch>,
    /// The token that the gateway has.
    shown: Option<BearerToken>,
}

/// The consequence of a frame for the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameEffect {
    Nothing,
    Welcome,
    /// The gateway leaves, and asks to come back after this.
    Leaves(Duration),
    /// The token expires after this.
    Expires(Duration),
}

impl FrameEffect {
    const fn of(frame: &Received) -> Self {
        if let Received::Welcome { .. } = frame {
            Self::Welcome
        } else if let Received::Reconnect { after_ms } = frame {
            Self::Leaves(Duration::from_millis(*after_ms))
        } else if let Received::Expiring { after_ms } = frame {
            Self::Expires(Duration::from_millis(*after_ms))
        } else {
            Self::Nothing
        }
    }
}

impl ClientCore {
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let target = SocketTarget::new(&options.url, options.hero, options.tls.clone())?;
        let commands = SentCommands::new(options.max_waiting);
        let picture = Picture::new(options.max_ended);
        Ok(Self {
            target,
            wake: Notify::new(),
            hurry: Notify::new(),
            closing: watch::Sender::new(false),
            state: watch::Sender::new(ClientState::Connecting),
            events: broadcast::Sender::new(options.max_events),
            inner: Mutex::new(Inner { commands, picture, watch: None, shown: None }),
            options,
        })
    }

    /// Gives out a command and waits for the answer, which may be a refusal. A call that is dropped is never sent again.
    pub async fn ask(&self, command: Command) -> Result<CommandOutcome, ClientError> {
        self.answer(self.take(command, false)?).await
    }

    pub fn orders(&self) -> Vec<Order> {
        self.inner().picture.orders().cloned().collect()
    }

    pub fn order(&self, id: OrderId) -> Option<Order> {
        self.inner().picture.order(id).cloned()
    }

    pub fn cursor(&self) -> Option<String> {
        self.inner().picture.cursor().map(str::to_owned)
    }

    pub fn waiting(&self) -> usize {
        self.inner().commands.len()
    }

    pub fn watch(&self, watch: Option<Watch>) {
        self.inner().watch = watch;
    }

    pub fn next_line(&self) -> Option<String> {
        self.inner().commands.next_line()
    }

    pub fn say(&self, kind: OtherLine, command: Command) -> bool {
        let said = self.inner().commands.say(kind, command);
        self.wake.notify_one();
        said
    }

    /// Remembers the token that the gateway gets; false if it has this one.
    pub fn shows(&self, token: Option<&BearerToken>) -> bool {
        let mut inner = self.inner();
        let new = inner.shown.as_ref() != token;
        inner.shown = token.cloned();
        new
    }

    pub fn enter(&self, state: ClientState) {
        self.state.send_replace(state.clone());
        self.tell(ClientEvent::State(state));
    }

    /// The socket is gone.
    pub fn stop(&self) {
        self.inner().commands.stop();
    }

    /// Ends for good: what waits fails.
    pub fn end(&self, why: EndReason) {
        self.enter(ClientState::Closed { why: why.clone() });
        self.inner().commands.fail(&ClientError::Closed(why));
    }

    /// Takes a frame in. One that cannot be read is passed over, as one of a type to come is.
    pub fn hear(self: &Arc<Self>, text: &str) -> FrameEffect {
        let frame: Received = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(%error, "a frame of the gateway cannot be read");
                return FrameEffect::Nothing;
            }
        };
        let effect = FrameEffect::of(&frame);
        let unsure = self.unsure(&frame);
        self.learn(&frame);
        if let Received::Welcome { hero, .. } = &frame {
            self.begin(hero.is_none());
        }
        self.tell(ClientEvent::Frame { text: text.into(), frame: Arc::new(frame.clone()) });
        self.settle(frame);
        if !unsure.is_empty() {
            tokio::spawn(reread(Arc::clone(self), unsure));
        }
        effect
    }

    /// Takes in that an order is gone.
    pub fn drop_order(&self, id: OrderId) {
        let known = self.inner().picture.order(id).map(|order| order.version);
        let Some(version) = known else { return };
        let deleted = vec![Deleted { order_id: id, version: version.next() }];
        self.learn(&Received::Feed {
            orders: Vec::new(),
            deleted,
            totals: None,
            gap: false,
            cursor: None,
        });
    }

    /// Takes a placement. It is kept under the lock: so nothing is sent that is not kept.
    pub fn take_placement(
        &self,
        command: Command,
        kept: KeptPlacement,
    ) -> Result<TakenCommand, ClientError> {
        let mut inner = self.inner();
        let taken = inner.commands.add(command, false)?;
        self.options.keeper.keep(kept);
        drop(inner);
        self.wake.notify_one();
        Ok(taken)
    }

    fn take(&self, command: Command, own: bool) -> Result<TakenCommand, ClientError> {
        let taken = self.inner().commands.add(command, own);
        self.wake.notify_one();
        taken
    }

    /// Waits for the answer to a command, which may be a refusal.
    pub async fn answer(&self, (id, outcome): TakenCommand) -> Result<CommandOutcome, ClientError> {
        let _given_up = GivenUp { core: self, id };
        outcome.await.unwrap_or_else(|_| {
            let detail = "the client is gone".to_owned();
            Err(ClientError::Closed(EndReason { cause: EndCause::Closed, detail }))
        })
    }

    /// After a gap that no cursor bridges, what was active may have ended, or be gone.
    fn unsure(&self, frame: &Received) -> Vec<OrderId> {
        let Received::Welcome { resume, orders, .. } = frame else { return Vec::new() };
        if *resume == Resume::Resumed {
            return Vec::new();
        }
        let inner = self.inner();
        let active = inner.picture.orders().filter(|order| order.status.is_active());
        active.map(|order| order.id).filter(|id| orders.iter().all(|told| told.id != *id)).collect()
    }

    /// Applies a frame, and tells what it changed.
    fn learn(&self, frame: &Received) {
        let mut inner = self.inner();
        let picture = &inner.picture;
        let newer = |order: &&Order| {
            !picture.is_deleted(order.id)
                && picture.order(order.id).is_none_or(|known| known.version < order.version)
        };
        let orders: Vec<_> = frame.orders().iter().filter(newer).cloned().collect();
        let deleted = frame.deleted().iter().map(|deleted| deleted.order_id);
        let deleted: Vec<_> = deleted.filter(|id| picture.order(*id).is_some()).collect();
        inner.picture.apply(frame);
        drop(inner);
        if !orders.is_empty() || !deleted.is_empty() {
            self.tell(ClientEvent::Change { orders, deleted });
        }
    }

    /// A socket takes commands.
    fn begin(&self, staff: bool) {
        let mut inner = self.inner();
        inner.commands.begin();
        if let Some(watch) = inner.watch.clone().filter(|_| staff) {
            let cursor = inner.picture.cursor().map(str::to_owned);
            inner.commands.say(OtherLine::Watch, Command::Watch(Watch { cursor, ..watch }));
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// An answer has come; the gateway may ask to come again later.
    fn settle(self: &Arc<Self>, frame: Received) {
        let (Received::Reply { id, .. } | Received::Error { id, .. } | Received::Pong { id }) =
            &frame
        else {
            return;
        };
        let Some(CommandId::Number(id)) = *id else { return };
        let mut inner = self.inner();
        if let Received::Error { problem, .. } = &frame
            && LATER.contains(&slug_of(problem))
            && let Some(command) = inner.commands.get(id)
            && command.deferred < MAX_DEFERRED
        {
            let asked =
                Duration::from_millis(problem["retry_after_ms"].as_u64().unwrap_or_default());
            let pause = self.options.pause.after(command.deferred, &mut rand::rng());
            command.deferred += 1;
            tokio::spawn(again(Arc::clone(self), id, asked.min(MAX_LATER) + pause));
            return;
        }
        inner.commands.settle(id, frame);
    }

    fn tell(&self, event: ClientEvent) {
        // Without a reader there is nobody to tell.
        let _ = self.events.send(event);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that ended, with or without its answer.
struct GivenUp<'a> {
    core: &'a ClientCore,
    id: i64,
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        self.core.inner().commands.remove(self.id);
    }
}

/// Lets a command go out again after a pause; a new socket sends it anyway.
async fn again(core: Arc<ClientCore>, id: i64, pause: Duration) {
    sleep(pause).await;
    core.inner().commands.send(id);
    core.wake.notify_one();
}

/// Finds out what became of orders.
async fn reread(core: Arc<ClientCore>, unsure: Vec<OrderId>) {
    for id in unsure {
        if core.order(id).is_none_or(|known| !known.status.is_active()) {
            continue;
        }
        let Ok(taken) = core.take(Command::Get(GetOrder { order_id: id }), true) else { return };
        match core.answer(taken).await.and_then(CommandOutcome::good) {
            Err(error) if error.code() == "order-not-found" => core.drop_order(id),
            Err(ClientError::Closed(_)) => return,
            Ok(_) | Err(_) => {}
        }
    }
}
