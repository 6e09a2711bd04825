//! Executes a client's command and makes its answer.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use galley_protocol::Audience;
use galley_protocol::frame::{ClientFrame, Command, CommandId, Page, Place, Reply, ServerFrame};
use galley_protocol::{HeroId, OrderId, PageCursor, Problem, ProblemType, Status, Version};
use galley_store::{CancelRequest, DeleteRequest, ListPage, OrderFilter, PlaceRequest};

use crate::desk::{Desk, Placed};
use crate::hub::State;
use crate::state::AppState;
use crate::store_problems::{no_order, problem};

/// The most meals in one answer to `menu`.
const MENU_PAGE: usize = 100;

/// The frame that answers a command.
pub struct Answer {
    /// The JSON.
    pub text: String,
    /// The states of orders in the answer. A first version is left out, because nothing is older.
    pub shown: Vec<(OrderId, State)>,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self { text, shown: Vec::new() }
    }
}

/// The sender of commands on a socket of this hero, or of staff.
pub fn audience(hero_id: Option<HeroId>) -> Audience {
    if hero_id.is_some() { Audience::Hero } else { Audience::Staff }
}

/// Starts the command. The future ends with the frame that answers it. A placement is in a batch as
/// soon as this function returns.
pub fn execute(
    state: &AppState,
    hero_id: Option<HeroId>,
    frame: ClientFrame,
) -> BoxFuture<'static, Answer> {
    let ClientFrame { id, command } = frame;
    let desk = state.desk.clone();
    match command {
        Command::Place(Place { meal_id, key }) => {
            let Some(hero_id) = hero_id else {
                return refuse(id, "staff places no orders").boxed();
            };
            let placed = desk.place(PlaceRequest { hero_id, meal_id, key });
            placed
                .map(|placed| {
                    answer(
                        id,
                        placed.map(|Placed { order, replayed }| Reply::Order {
                            order: Box::new(order),
                            replayed,
                        }),
                    )
                })
                .boxed()
        }
        Command::Cancel { order_id, reason } => async move {
            let request = CancelRequest { order_id, hero_id, message: reason, expected: None };
            answer(
                id,
                desk.cancel(request)
                    .await
                    .map(|order| Reply::Order { order: Box::new(order), replayed: false }),
            )
        }
        .boxed(),
        Command::Delete { order_id } => async move {
            let request = DeleteRequest { order_id, hero_id, expected: None };
            answer(
                id,
                desk.delete(request)
                    .await
                    .map(|deleted| Reply::Deleted { deleted: true, order_id: deleted.order_id }),
            )
        }
        .boxed(),
        Command::Get { order_id } => {
            async move { answer(id, get(&desk, hero_id, order_id).await) }.boxed()
        }
        Command::Orders { status, limit, cursor } => {
            async move { answer(id, orders(&desk, hero_id, status, limit, cursor).await) }.boxed()
        }
        Command::Menu { cursor } => async move { answer(id, menu(&desk, cursor).await) }.boxed(),
        // The session handles tokens before a command comes here.
        Command::Auth { .. } => refuse(id, "a token is of no use here").boxed(),
        Command::Watch(_) => {
            refuse(id, "only staff watches the whole feed; connect without a hero").boxed()
        }
        Command::Ping => {
            std::future::ready(Answer::from(ServerFrame::Pong { id }.encode())).boxed()
        }
        Command::Help => {
            let help = audience(hero_id).help();
            std::future::ready(answer(id, Ok(Reply::Help { help }))).boxed()
        }
    }
}

async fn get(desk: &Desk, hero_id: Option<HeroId>, order_id: OrderId) -> Result<Reply, Problem> {
    let found = desk.store().order(order_id).await.map_err(|error| problem(&error))?;
    let order = found
        .map(|found| found.view.order)
        .filter(|order| hero_id.is_none_or(|hero_id| hero_id == order.hero_id));
    order
        .map(|order| Reply::Order { order: Box::new(order), replayed: false })
        .ok_or_else(|| no_order(order_id))
}

async fn orders(
    desk: &Desk,
    hero_id: Option<HeroId>,
    status: Vec<Status>,
    limit: usize,
    after: Option<PageCursor>,
) -> Result<Reply, Problem> {
    let filter = OrderFilter { hero_id, meal_id: None, status, after, limit: limit + 1 };
    let views = desk.store().orders(&filter).await.map_err(|error| problem(&error))?;
    let orders = views.into_iter().map(|view| view.order).collect();
    Ok(Reply::Orders(Page::cut(orders, limit, |order| order.id.get())))
}

async fn menu(desk: &Desk, after: Option<PageCursor>) -> Result<Reply, Problem> {
    let page = ListPage { limit: MENU_PAGE + 1, after, name_contains: None };
    let meals = desk.store().meals().list(&page).await.map_err(|error| problem(&error))?;
    Ok(Reply::Menu(Page::cut(meals, MENU_PAGE, |meal| meal.id.get())))
}

fn answer(id: Option<CommandId>, reply: Result<Reply, Problem>) -> Answer {
    let orders = match &reply {
        Ok(Reply::Order { order, .. }) => std::slice::from_ref(&**order),
        Ok(Reply::Orders(page)) => &page.items[..],
        Ok(
            Reply::Deleted { .. }
            | Reply::Menu(_)
            | Reply::Watching { .. }
            | Reply::Authenticated { .. }
            | Reply::Help { .. },
        ) => &[][..],
        Err(problem) => problem.order.as_deref().map_or(&[][..], std::slice::from_ref),
    };
    let orders = orders.iter().filter(|order| order.version > Version::FIRST);
    let shown = orders.map(State::of).collect();
    let text = match reply {
        Ok(reply) => ServerFrame::Reply { id, reply }.encode(),
        Err(problem) => ServerFrame::Error { id, problem: Box::new(problem) }.encode(),
    };
    Answer { text, shown }
}

fn refuse(id: Option<CommandId>, detail: &str) -> std::future::Ready<Answer> {
    std::future::ready(answer(id, Err(Problem::new(ProblemType::Forbidden).with_detail(detail))))
}
