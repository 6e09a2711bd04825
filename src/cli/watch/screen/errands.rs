//! What the gateway is asked over REST: the past, names, and to cancel an order.
//!
//! At most one of a kind is under way. An errand that fails is no end: the past is read again after the next welcome, a name at the next
//! look, and whoever cancels is told.

use std::time::Duration;

use galley_launch::Failure;
use galley_protocol::{HeroId, Order, OrderId, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::model::{Link, Model};
use super::names::Nameless;
use crate::cli::api::Remote;

/// The orders of the past that are read: pages of a hundred, the newest first.
const MAX_PAGES: usize = 5;
/// The pause after a name could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// The errands that are under way.
pub struct Errands {
    remote: Remote,
    hero: Option<HeroId>,
    under_way: JoinSet<Done>,
    /// Which past has been asked for.
    history: u64,
    naming: bool,
    cancelling: bool,
}

/// What came of an errand.
pub enum Done {
    /// A page of the past, and where the next one begins.
    Read { history: u64, pages: usize, page: Result<Page, Failure> },
    /// A name; nothing when there is nobody of that id.
    Named(Nameless, Result<Option<String>, Failure>),
    /// An order was cancelled, or why not.
    Cancelled(OrderId, Result<Order, Failure>),
}

/// A page of orders.
#[derive(Deserialize)]
pub struct Page {
    items: Vec<Read>,
    next_cursor: Option<String>,
}

/// An order with its names.
#[derive(Deserialize)]
struct Read {
    #[serde(flatten)]
    order: Order,
    hero: Named,
    meal: Named,
}

/// Whoever has a name.
#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Errands {
    /// None is under way.
    pub fn new(remote: Remote, hero: Option<HeroId>) -> Self {
        Self { remote, hero, under_way: JoinSet::new(), history: 0, naming: false, cancelling: false }
    }

    /// The next that is done; waits for ever when none is under way.
    pub async fn next(&mut self) -> Done {
        match self.under_way.join_next().await {
            Some(done) => done.expect("an errand does not panic, and nobody ends it"),
            None => std::future::pending().await,
        }
    }

    /// Sees what the model lacks.
    pub fn look(&mut self, model: &Model) {
        if model.link != Link::Live {
            return;
        }
        if self.history != model.history {
            self.history = model.history;
            self.read(1, None);
        } else if !self.naming
            && let Some(whose) = model.nameless(model.page)
        {
            self.naming = true;
            let remote = self.remote.clone();
            self.under_way.spawn(async move { Done::Named(whose, name(remote, whose).await) });
        }
    }

    /// Cancels an order.
    pub fn cancel(&mut self, model: &mut Model, id: OrderId, reason: Option<String>, now: Timestamp) {
        if self.cancelling {
            model.say("another order is being cancelled".to_owned(), now);
            return;
        }
        self.cancelling = true;
        model.say(format!("cancelling order {id} …"), now);
        let remote = self.remote.clone();
        self.under_way.spawn(async move { Done::Cancelled(id, cancel(remote, id, reason).await) });
    }

    /// Tells the model what came of an errand, and goes on where there is more to do.
    pub fn settle(&mut self, model: &mut Model, done: Done, now: Timestamp) {
        match done {
            Done::Read { history, pages, page: Ok(page) } if history == model.history => {
                for Read { order, hero, meal } in &page.items {
                    model.names.learn_hero(order.hero_id, Some(hero.name.clone()));
                    model.names.learn_meal(order.meal_id, Some(meal.name.clone()));
                }
                model.learn(page.items.into_iter().map(|read| read.order).collect());
                if page.next_cursor.is_some() && pages < MAX_PAGES {
                    self.read(pages + 1, page.next_cursor);
                }
            }
            Done::Read { page: Err(failure), .. } => model.say(format!("cannot read earlier orders: {failure}"), now),
            Done::Read { .. } => {}
            Done::Named(whose, name) => {
                self.naming = false;
                match (whose, name) {
                    (Nameless::Hero(id), Ok(name)) => model.names.learn_hero(id, name),
                    (Nameless::Meal(id), Ok(name)) => model.names.learn_meal(id, name),
                    (_, Err(_)) => {}
                }
            }
            Done::Cancelled(id, Ok(order)) => {
                self.cancelling = false;
                model.learn(vec![order]);
                model.say(format!("order {id} is cancelled"), now);
            }
            Done::Cancelled(id, Err(failure)) => {
                self.cancelling = false;
                model.say(format!("order {id}: {failure}"), now);
            }
        }
    }

    fn read(&mut self, pages: usize, cursor: Option<String>) {
        let (remote, hero, history) = (self.remote.clone(), self.hero, self.history);
        self.under_way.spawn(async move { Done::Read { history, pages, page: page(remote, hero, cursor).await } });
    }
}

async fn page(remote: Remote, hero: Option<HeroId>, cursor: Option<String>) -> Result<Page, Failure> {
    let api = remote.open()?;
    let mut query = vec![("limit", "100".to_owned())];
    query.extend(hero.map(|id| ("hero_id", id.to_string())));
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    api.ask(api.request(Method::GET, "/orders").query(&query)).await?.read()
}

/// One that is gone has no name; a gateway that cannot say is left alone for a while.
async fn name(remote: Remote, whose: Nameless) -> Result<Option<String>, Failure> {
    let path = match whose {
        Nameless::Hero(id) => format!("/heroes/{id}"),
        Nameless::Meal(id) => format!("/meals/{id}"),
    };
    let api = remote.open()?;
    let named = api.find(api.request(Method::GET, &path)).await;
    if named.is_err() {
        sleep(PAUSE).await;
    }
    match named? {
        Some(answer) => answer.read().map(|Named { name }| Some(name)),
        None => Ok(None),
    }
}

async fn cancel(remote: Remote, id: OrderId, reason: Option<String>) -> Result<Order, Failure> {
    let api = remote.open()?;
    let body = reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
    api.ask(api.request(Method::POST, &format!("/orders/{id}/cancel")).json(&body)).await?.read()
}
