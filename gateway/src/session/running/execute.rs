//! Executes a client's command and makes its answer.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use galley_protocol::frame::{ClientFrame, Command, CommandId, Reply, ServerFrame};
use galley_protocol::{
    Audience, Deleted, HeroId, Language, OfHero, Order, OrderId, PageCursor, Problem, ProblemType,
    Sentence, TraceContext, Version,
};
use galley_store::ListPage;
use galley_telemetry::{Span, SpanKind, sample};

use crate::commands::{Commands, Placed};
use crate::hub::VersionSeen;
use crate::limits::{CallerKey, ReadTurn};
use crate::page_size::bounded;
use crate::state::AppState;
use crate::web::guard::tell_of_staff;

/// The most meals in one answer to `menu`.
const MENU_PAGE: usize = 100;

pub struct CommandReply {
    pub text: String,
    /// The states of orders in the answer. A first version is left out, because nothing is older.
    pub shown: Vec<(OrderId, VersionSeen)>,
}

impl From<String> for CommandReply {
    fn from(text: String) -> Self {
        Self { text, shown: Vec::new() }
    }
}

/// The one who is answered.
#[derive(Debug)]
pub struct Addressee {
    /// The id of its command.
    pub id: Option<CommandId>,
    pub language: Language,
}

/// Returns the kind of caller that sends commands on a socket of this hero, or of staff.
pub fn audience(hero_id: Option<HeroId>) -> Audience {
    if hero_id.is_some() { Audience::Hero } else { Audience::Staff }
}

/// Starts the command. The future ends with the frame that answers it. A placement is in a batch as
/// soon as this function returns. `named` is the span that the handshake named, for commands that
/// name none.
pub fn execute(
    state: &AppState,
    hero_id: Option<HeroId>,
    key: CallerKey,
    named: Option<&TraceContext>,
    ClientFrame { id, command }: ClientFrame,
    language: Language,
) -> BoxFuture<'static, CommandReply> {
    let to = Addressee { id, language };
    let state = state.clone();
    match command {
        Command::Place(mut command) => {
            let own = command.traceparent.take();
            let Some(hero_id) = hero_id else {
                return refuse(to, Sentence::StaffPlacesNothing).boxed();
            };
            let step = begin(&state, key, own.as_deref().or(named), "place");
            let placed = state.commands.place(OfHero { hero_id, command }, context(step.as_ref()));
            placed
                .map(move |placed| {
                    let placed =
                        placed.inspect(|placed| tell(&state, key, "place", placed.order.id));
                    let placed = placed.map(|Placed { order, replayed }| reply(order, replayed));
                    answer(to, end(step, placed))
                })
                .boxed()
        }
        Command::Cancel(command) => {
            let step = begin(&state, key, named, "cancel");
            async move {
                let request = OfHero { hero_id, command };
                let cancelled = state.commands.cancel(request, context(step.as_ref())).await;
                let cancelled = cancelled.inspect(|order| tell(&state, key, "cancel", order.id));
                answer(to, end(step, cancelled.map(|order| reply(order, false))))
            }
            .boxed()
        }
        Command::Delete(command) => {
            let step = begin(&state, key, named, "delete");
            async move {
                let request = OfHero { hero_id, command };
                let deleted = state.commands.delete(request, context(step.as_ref())).await;
                let deleted = deleted.inspect(|gone| tell(&state, key, "delete", gone.order_id));
                let reply = |Deleted { order_id, .. }| Reply::Deleted { deleted: true, order_id };
                answer(to, end(step, deleted.map(reply)))
            }
            .boxed()
        }
        Command::Get(command) => async move {
            let found = async {
                let turn = state.limits.reads.take(key).await?;
                state.commands.get(turn, OfHero { hero_id, command }).await
            };
            answer(to, found.await.map(|found| reply(found.view.order, false)))
        }
        .boxed(),
        Command::Orders(command) => async move {
            let page = async {
                let turn = state.limits.reads.take(key).await?;
                state.commands.list(turn, OfHero { hero_id, command }).await
            };
            answer(to, page.await.map(|page| Reply::Orders(page.map(|view| view.order))))
        }
        .boxed(),
        Command::Menu { cursor } => async move {
            let found = async {
                let turn = state.limits.reads.take(key).await?;
                menu(&state.commands, turn, cursor).await
            };
            answer(to, found.await)
        }
        .boxed(),
        // The session handles tokens itself and never passes them on.
        Command::Auth { .. } => refuse(to, Sentence::TokenUseless).boxed(),
        Command::Watch(_) => refuse(to, Sentence::OnlyStaffWatches).boxed(),
        Command::Ping => {
            std::future::ready(CommandReply::from(ServerFrame::Pong { id: to.id }.encode())).boxed()
        }
        Command::Help => {
            let help = language.help(audience(hero_id));
            std::future::ready(answer(to, Ok(Reply::Help { help }))).boxed()
        }
    }
}

/// Logs a change of an order if a member of staff made it.
fn tell(state: &AppState, key: CallerKey, command: &str, order_id: OrderId) {
    if matches!(key, CallerKey::Staff(_)) {
        tell_of_staff(state, key, &format!("{command} order {order_id}"));
    }
}

/// Begins the span of a command, if its trace is recorded.
fn begin(
    state: &AppState,
    key: CallerKey,
    named: Option<&TraceContext>,
    name: &'static str,
) -> Option<Span> {
    let may_demand = || state.limits.may_demand_trace(key);
    sample(SpanKind::Server, named, may_demand, || name.into())
}

fn context(step: Option<&Span>) -> Option<TraceContext> {
    step.map(Span::context)
}

/// Ends the span of a command. A problem then names the trace.
fn end(step: Option<Span>, reply: Result<Reply, Problem>) -> Result<Reply, Problem> {
    let Some(mut step) = step else { return reply };
    let trace = step.context();
    if let Ok(Reply::Order { order, .. }) = &reply {
        step.set("galley.order.id", order.id.get());
    }
    let problem = reply.as_ref().err().map(|problem| problem.kind.slug());
    if let Some(slug) = problem {
        step.set("error.type", slug);
        step.fail(slug);
    }
    tracing::debug!(trace_id = %trace.trace_id, problem, "answered a command");
    reply.map_err(|problem| problem.with_trace(Some(trace)))
}

fn reply(order: Order, replayed: bool) -> Reply {
    Reply::Order { order: Box::new(order), replayed }
}

async fn menu(
    commands: &Commands,
    turn: ReadTurn,
    after: Option<PageCursor>,
) -> Result<Reply, Problem> {
    let page = ListPage { limit: MENU_PAGE, after, name_contains: None };
    let meals = commands.read(turn, async move |store| store.meals().list(&page).await).await?;
    Ok(Reply::Menu(bounded(meals, |meal| meal.id.get())))
}

fn answer(Addressee { id, language }: Addressee, reply: Result<Reply, Problem>) -> CommandReply {
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
    let shown = orders.map(VersionSeen::of).collect();
    let text = match reply {
        Ok(reply) => ServerFrame::Reply { id, reply }.encode(),
        Err(problem) => {
            let problem = Box::new(problem.spoken_in(language));
            ServerFrame::Error { id, problem }.encode()
        }
    };
    CommandReply { text, shown }
}

fn refuse(to: Addressee, detail: Sentence) -> std::future::Ready<CommandReply> {
    std::future::ready(answer(to, Err(Problem::new(ProblemType::Forbidden).with_detail(detail))))
}
