//! What the gateway is asked over REST: the past, names, and to cancel an order.
//!
//! At most one of a kind is under way. An errand that fails is no end: the past is read again after
//! the next welcome, a name at the next look, and whoever cancels is told.

use std::collections::VecDeque;
use std::time::Duration;

use galley_protocol::{Order, OrderId, Timestamp, Watch};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::filter::Filter;
use super::model::{Link, Model};
use super::names::Nameless;
use super::search::{Question, Search, plan};
use crate::cli::api::Remote;
use crate::cli::error::CommandError;

/// The pages of a hundred orders that are read of the past, the newest first, beside the first page
/// of each question.
const MAX_PAGES: usize = 5;
/// The pause after a name could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// The errands that are under way.
pub struct Errands {
    remote: Remote,
    /// The subscription without any filter.
    base: Watch,
    /// The subscription with the filter.
    subscription: watch::Sender<Watch>,
    under_way: JoinSet<Done>,
    /// The number of the reading under way, see [`Model::history`].
    history: u64,
    /// The questions still to be read, and where each goes on.
    to_read: VecDeque<(Question, Option<String>)>,
    /// The pages that may still be read.
    pages: usize,
    naming: bool,
    cancelling: bool,
}

/// The result of an errand.
pub enum Done {
    /// The questions that a filter comes to.
    Planned { history: u64, search: Result<Search, CommandError> },
    /// A page of the past, and the question that it answers.
    Read { history: u64, question: Question, page: Result<OrdersPage, CommandError> },
    /// A name; nothing when there is nobody of that id.
    Named(Nameless, Result<Option<String>, CommandError>),
    /// An order was cancelled, or why not.
    Cancelled(OrderId, Result<Order, CommandError>),
}

/// A page of orders.
#[derive(Deserialize)]
pub struct OrdersPage {
    items: Vec<Read>,
    next_cursor: Option<String>,
}

/// An order with its names.
#[derive(Deserialize)]
struct Read {
    #[serde(flatten)]
    order: Order,
    hero: NamedOrders,
    meal: NamedOrders,
}

/// A hero or a meal, by its name.
#[derive(Deserialize)]
struct NamedOrders {
    name: String,
}

impl Errands {
    /// None is under way. The filter of the screen narrows the subscription.
    pub fn new(remote: Remote, subscription: watch::Sender<Watch>) -> Self {
        let base = subscription.borrow().clone();
        Self {
            remote,
            base,
            subscription,
            under_way: JoinSet::new(),
            history: 0,
            to_read: VecDeque::new(),
            pages: 0,
            naming: false,
            cancelling: false,
        }
    }

    /// The next that is done; waits for ever when none is under way.
    pub async fn next(&mut self) -> Done {
        match self.under_way.join_next().await {
            Some(done) => done.expect("an errand does not panic, and nobody ends it"),
            None => std::future::pending().await,
        }
    }

    /// Sees what the model lacks.
    pub fn look(&mut self, model: &mut Model) {
        if model.link != Link::Live {
            return;
        }
        if self.history != model.history {
            self.history = model.history;
            self.to_read.clear();
            model.reading = true;
            let (remote, base, filter, history) =
                (self.remote.clone(), self.base.clone(), model.filter().clone(), self.history);
            self.under_way.spawn(async move {
                Done::Planned { history, search: search(remote, &base, &filter).await }
            });
        } else if !self.naming
            && let Some(whose) = model.nameless(model.page)
        {
            self.naming = true;
            let remote = self.remote.clone();
            self.under_way.spawn(async move { Done::Named(whose, name(remote, whose).await) });
        }
    }

    /// Cancels an order.
    pub fn cancel(
        &mut self,
        model: &mut Model,
        id: OrderId,
        reason: Option<String>,
        now: Timestamp,
    ) {
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
            Done::Planned { history, search: Ok(search) } if history == model.history => {
                self.to_read =
                    search.questions.into_iter().map(|question| (question, None)).collect();
                self.pages = MAX_PAGES + self.to_read.len();
                self.subscription.send_if_modified(|watch| {
                    let other = *watch != search.watch;
                    *watch = search.watch;
                    other
                });
                self.read(model);
            }
            Done::Read { history, question, page: Ok(page) } if history == model.history => {
                let is_empty = page.items.is_empty();
                for Read { order, hero, meal } in &page.items {
                    model.names.learn_hero(order.hero_id, Some(hero.name.clone()));
                    model.names.learn_meal(order.meal_id, Some(meal.name.clone()));
                }
                model.learn(page.items.into_iter().map(|read| read.order).collect());
                // A search that found nothing yet is no page.
                self.pages += usize::from(is_empty && page.next_cursor.is_some());
                self.to_read.extend(page.next_cursor.map(|cursor| (question, Some(cursor))));
                self.read(model);
            }
            Done::Planned { search: Err(error), .. } | Done::Read { page: Err(error), .. } => {
                model.reading = false;
                model.say(format!("cannot read earlier orders: {error}"), now);
            }
            Done::Planned { .. } | Done::Read { .. } => {}
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
            Done::Cancelled(id, Err(error)) => {
                self.cancelling = false;
                model.say(format!("order {id}: {error}"), now);
            }
        }
    }

    /// Reads the next page, if there is one.
    fn read(&mut self, model: &mut Model) {
        let next = if self.pages == 0 { None } else { self.to_read.pop_front() };
        model.reading = next.is_some();
        let Some((question, cursor)) = next else { return };
        self.pages -= 1;
        let (remote, history) = (self.remote.clone(), self.history);
        self.under_way.spawn(async move {
            let page = page(remote, &question, cursor).await;
            Done::Read { history, question, page }
        });
    }
}

async fn search(remote: Remote, base: &Watch, filter: &Filter) -> Result<Search, CommandError> {
    plan(&remote.open()?, base, filter).await
}

async fn page(
    remote: Remote,
    question: &Question,
    cursor: Option<String>,
) -> Result<OrdersPage, CommandError> {
    let api = remote.open()?;
    match question {
        Question::List(parameters) => {
            let request =
                api.request(Method::GET, "/orders").query(&[("limit", "100")]).query(parameters);
            let request = if let Some(cursor) = cursor {
                request.query(&[("cursor", cursor)])
            } else {
                request
            };
            api.ask(request).await?.read()
        }
        Question::Order(id) => {
            let found = api.find(api.request(Method::GET, &format!("/orders/{id}"))).await?;
            let items = found.map(|answer| answer.read()).transpose()?.into_iter().collect();
            Ok(OrdersPage { items, next_cursor: None })
        }
    }
}

/// One that is gone has no name; a gateway that cannot say is left alone for a while.
async fn name(remote: Remote, whose: Nameless) -> Result<Option<String>, CommandError> {
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
        Some(answer) => answer.read().map(|NamedOrders { name }| Some(name)),
        None => Ok(None),
    }
}

async fn cancel(
    remote: Remote,
    id: OrderId,
    reason: Option<String>,
) -> Result<Order, CommandError> {
    let api = remote.open()?;
    let body = reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
    api.ask(api.request(Method::POST, &format!("/orders/{id}/cancel")).json(&body)).await?.read()
}
