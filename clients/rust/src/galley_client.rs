//! The client, as programs see it.

use std::sync::Arc;

use galley_protocol::frame::{Command, Received, Totals};
use galley_protocol::{
    CancelOrder, DeleteOrder, GetOrder, MealId, Order, OrderId, PlaceOrder, Reason, ReasonText,
    Status, Watch,
};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::client_core::ClientCore;
use crate::sent_commands::CommandOutcome;
use crate::{ClientError, ClientEvents, ClientOptions, ClientState, KeptPlacement, socket_loop};

/// Placements that were kept for more seconds are dropped: nobody wants yesterday's lunch.
const MAX_AGE: u64 = 3_600;

/// A connection to Galley that comes back by itself. It ends when it is dropped or closed.
///
/// A call that is dropped before its end is given up: if the command has not gone out, it never
/// will; otherwise it may have been carried out.
pub struct GalleyClient {
    core: Arc<ClientCore>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl GalleyClient {
    /// Connects; returns when the gateway has said welcome.
    ///
    /// # Errors
    /// [`ClientError::BadOption`] for options that cannot be right, [`ClientError::Closed`] if the
    /// gateway will never say welcome.
    pub async fn connect(options: ClientOptions) -> Result<Self, ClientError> {
        let (client, _) = Self::start(options)?;
        client.connected().await?;
        Ok(client)
    }

    /// Begins to connect, within a runtime. Returns the events from the first one on.
    ///
    /// # Errors
    /// [`ClientError::BadOption`] for options that cannot be right.
    pub fn start(options: ClientOptions) -> Result<(Self, ClientEvents), ClientError> {
        let core = Arc::new(ClientCore::new(options)?);
        let events = ClientEvents(core.events.subscribe());
        // What an earlier life of this program kept is placed again under the same keys.
        for kept in core.options.keeper.all() {
            if kept.age() > MAX_AGE {
                core.options.keeper.forget(&kept.key);
            } else if core.waiting() < core.options.max_waiting {
                let core = Arc::clone(&core);
                tokio::spawn(async move { place(&core, kept).await });
            }
        }
        let task = Mutex::new(Some(tokio::spawn(socket_loop::run(Arc::clone(&core)))));
        Ok((Self { core, task }, events))
    }

    /// Returns when there is a connection.
    ///
    /// # Errors
    /// [`ClientError::Closed`] if there never will be one.
    pub async fn connected(&self) -> Result<(), ClientError> {
        let mut states = self.core.state.subscribe();
        let settled =
            |state: &ClientState| state.is_open() || matches!(state, ClientState::Closed { .. });
        let state = states.wait_for(settled).await.map(|state| state.clone());
        if let Ok(ClientState::Closed { why }) = state {
            return Err(ClientError::Closed(why));
        }
        Ok(())
    }

    /// Returns the stand of the connection.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.core.state.borrow().clone()
    }

    /// Returns the newest states of the orders: active, then ended, each by rising id.
    #[must_use]
    pub fn orders(&self) -> Vec<Order> {
        self.core.orders()
    }

    /// Returns the newest state of an order, if it is known.
    #[must_use]
    pub fn order(&self, id: OrderId) -> Option<Order> {
        self.core.order(id)
    }

    /// Returns the number of commands that wait for their answers.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.core.waiting()
    }

    /// Returns the events from now on.
    #[must_use]
    pub fn events(&self) -> ClientEvents {
        ClientEvents(self.core.events.subscribe())
    }

    /// Does not wait for the end of a pause.
    pub fn retry_now(&self) {
        if matches!(self.state(), ClientState::Waiting { .. }) {
            self.core.hurry.notify_one();
        }
    }

    /// Orders a meal, once, whatever happens on the way.
    ///
    /// # Errors
    /// [`ClientError`]; a placement that a closed client has not finished stays kept.
    pub async fn place(&self, meal: MealId) -> Result<Order, ClientError> {
        place(&self.core, KeptPlacement::new(meal)).await
    }

    /// Cancels an order; an empty reason is none.
    ///
    /// # Errors
    /// [`ClientError`] with the code `already-finished` if that came too late.
    pub async fn cancel(&self, order_id: OrderId, reason: &str) -> Result<Order, ClientError> {
        let reason = if reason.is_empty() { None } else { Some(checked(reason)?) };
        let command = CancelOrder { order_id, reason, expected: None };
        let outcome = self.core.ask(Command::Cancel(command)).await?;
        if let (true, Received::Error { problem, .. }) = (outcome.repeated, &outcome.frame)
            && let Ok(order) = serde_json::from_value::<Order>(problem["order"].clone())
            && (order.status, order.reason) == (Status::Cancelled, Some(Reason::HeroRequest))
        {
            // The first of two equal cancels did it.
            return Ok(order);
        }
        ordered(outcome)
    }

    /// Deletes an order that has ended.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete(&self, order_id: OrderId) -> Result<(), ClientError> {
        let command = Command::Delete(DeleteOrder { order_id, expected: None });
        let outcome = self.core.ask(command).await?;
        let repeated = outcome.repeated;
        match outcome.good() {
            // The first of two equal deletes did it.
            Err(error) if !(repeated && error.code() == "order-not-found") => return Err(error),
            Ok(_) | Err(_) => {}
        }
        self.core.drop_order(order_id);
        Ok(())
    }

    /// Reads an order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get(&self, order_id: OrderId) -> Result<Order, ClientError> {
        ordered(self.core.ask(Command::Get(GetOrder { order_id })).await?)
    }

    /// Watches the whole feed from now on (staff), again after each reconnection. Returns the
    /// totals, if the gateway knows them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn watch(&self, watch: Watch) -> Result<Option<Totals>, ClientError> {
        self.core.watch(None);
        let outcome = self.core.ask(Command::Watch(watch.clone())).await?.good()?;
        self.core.watch(Some(watch));
        if let Received::Reply { totals, .. } = outcome.frame { Ok(totals) } else { Ok(None) }
    }

    /// Ends for good, and says goodbye. What waits fails; placements stay kept.
    pub async fn close(&self) {
        self.core.closing.send_replace(true);
        if let Some(task) = self.task.lock().await.take() {
            // A task that panicked has ended as well.
            let _ = task.await;
        }
    }
}

impl Drop for GalleyClient {
    fn drop(&mut self) {
        self.core.closing.send_replace(true);
    }
}

/// Places an order, which is kept until its answer comes or the call is given up.
async fn place(core: &ClientCore, kept: KeptPlacement) -> Result<Order, ClientError> {
    let key = kept.key.clone();
    let command = PlaceOrder { key: Some(key.clone()), ..PlaceOrder::of(kept.meal_id) };
    let taken = core.take_placement(Command::Place(command), kept)?;
    let mut forgotten = Forgotten { core, key: Some(key) };
    let outcome = core.answer(taken).await;
    if matches!(outcome, Err(ClientError::Closed(_))) {
        forgotten.key = None;
    }
    ordered(outcome?)
}

/// Forgets a placement that was answered or given up.
struct Forgotten<'a> {
    core: &'a ClientCore,
    key: Option<galley_protocol::IdempotencyKey>,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.core.options.keeper.forget(key);
        }
    }
}

fn ordered(outcome: CommandOutcome) -> Result<Order, ClientError> {
    let answer = outcome.good()?.frame;
    if let Received::Reply { order: Some(order), .. } = answer {
        return Ok(*order);
    }
    Err(ClientError::BadAnswer(Box::new(answer)))
}

fn checked(reason: &str) -> Result<ReasonText, ClientError> {
    ReasonText::parse(reason).map_err(|error| ClientError::BadOption(format!("the reason {error}")))
}
