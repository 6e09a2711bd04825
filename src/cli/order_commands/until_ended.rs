//! `galley order place --wait`: shows each state of one order until its end.
//!
//! The states come over the socket of the order's hero, which reconnects and resumes. The order is
//! also read once per socket, as soon as that socket is subscribed, so that no change is missed
//! between placing and subscribing, or in a gap. It is never polled; only a failed read is tried
//! again.

use std::time::Duration;

use galley_protocol::frame::Received;
use galley_protocol::{Order, Status};
use reqwest::Method;
use tokio::sync::mpsc::channel;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::api::Remote;
use crate::cli::client_session::{SessionEvent, SessionSubject};
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::link;
use crate::cli::output;
use crate::cli::watch::lines::{interruption, order_line};

/// Maximum frames that wait to be handled; beyond it, the socket is not read.
const MAX_NEWS: usize = 16;
/// The pause after a failed read of the order.
const PAUSE: Duration = Duration::from_secs(1);

/// The order, in the state that was shown last.
struct ShownState<'a> {
    remote: &'a Remote,
    order: Order,
}

/// Shows a newly placed order, and waits for its end. `begin` is the start of the command.
pub async fn run(remote: &Remote, placed: Order, begin: Instant) -> Result<(), CommandError> {
    let mut shown = ShownState { remote, order: placed };
    shown.print()?;
    let ended = {
        let waiting = shown.until_ended();
        match remote.timeout {
            None => Some(waiting.await),
            Some(limit) => timeout_at(begin + limit, waiting).await.ok(),
        }
    };
    match (ended, remote.timeout) {
        (Some(Err(error)), _) => Err(error),
        (None, Some(limit)) => Err(shown.too_late(limit)),
        _ if shown.order.status == Status::Cancelled => Err(CommandError::Quiet(Exit::Cancelled)),
        _ => Ok(()),
    }
}

impl ShownState<'_> {
    async fn until_ended(&mut self) -> Result<(), CommandError> {
        if !self.order.status.is_active() {
            return Ok(());
        }
        let (tell, mut news) = channel(MAX_NEWS);
        let link =
            link::keep(self.remote.clone(), SessionSubject::Hero(self.order.hero_id), tell, true);
        tokio::pin!(link);
        // Time of the next attempt after a failed read.
        let mut again = None;
        loop {
            tokio::select! {
                error = &mut link => return Err(error),
                () = output::closed() => return Err(CommandError::Quiet(Exit::Done)),
                () = due(again) => again = self.read().await?,
                told = news.recv() => match told {
                    Some(SessionEvent::Frame { frame, .. }) => self.hear(&frame)?,
                    Some(SessionEvent::Watching { .. }) => again = self.read().await?,
                    Some(SessionEvent::Waiting { why, pause }) => interruption(self.remote, &why, pause),
                    Some(SessionEvent::Connecting) | None => {}
                }
            }
            if !self.order.status.is_active() {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, frame: &Received) -> Result<(), CommandError> {
        let id = self.order.id;
        for order in frame.orders().iter().filter(|order| order.id == id) {
            self.take(order)?;
        }
        // A deleted order has ended. A welcome or a resync may contain its end and its deletion
        // together.
        let gone = frame.deleted().iter().any(|deleted| deleted.order_id == id);
        if gone && self.order.status.is_active() { Err(self.deleted()) } else { Ok(()) }
    }

    /// Reads the order. Returns the moment of the next attempt after a failure that may pass.
    async fn read(&mut self) -> Result<Option<Instant>, CommandError> {
        let api = self.remote.clone().open()?;
        match api.find(api.request(Method::GET, &format!("/orders/{}", self.order.id))).await {
            Ok(Some(answer)) => self.take(&answer.read()?).map(|()| None),
            Ok(None) => Err(self.deleted()),
            Err(error) if matches!(error.exit(), Exit::Busy | Exit::Unreachable) => {
                Ok(Some(Instant::now() + PAUSE))
            }
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, order: &Order) -> Result<(), CommandError> {
        if order.version <= self.order.version {
            return Ok(());
        }
        self.order = order.clone();
        self.print()
    }

    fn print(&self) -> Result<(), CommandError> {
        if self.remote.json {
            return output::print(
                &serde_json::to_string(&self.order).map_err(CommandError::failed)?,
            );
        }
        output::print(&order_line(&self.order))
    }

    fn deleted(&self) -> CommandError {
        let text = format!("order {} was deleted before its end was seen", self.order.id);
        CommandError::local(Exit::NotFound, text)
    }

    fn too_late(&self, limit: Duration) -> CommandError {
        let Order { id, status, .. } = &self.order;
        let limit = humantime::format_duration(limit);
        let text = format!(
            "order {id} is {status} and has not ended within {limit}; `galley order get {id}` shows how it goes on"
        );
        let error = CommandError::local(Exit::TimedOut, text);
        match serde_json::to_value(&self.order) {
            Ok(order) => error.with("order", order),
            Err(_) => error,
        }
    }
}

async fn due(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep(moment.saturating_duration_since(Instant::now())).await,
        None => std::future::pending().await,
    }
}
