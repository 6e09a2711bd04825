//! The event streams: the frames of the sockets, for clients that only receive.

use std::convert::Infallible;

use axum::Extension;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use galley_protocol::command::rate;
use galley_protocol::{HeroId, Problem, Status, Watch};
use utoipa::IntoParams;

use super::path_id::Id;
use super::problems::{OfListening, OfWatching};
use crate::auth::stream_tickets::TICKET;
use crate::http::Cut;
use crate::http::entrance::Outside;
use crate::limits::Address;
use crate::session::opening::sse_session::{StreamSubject, open};
use crate::state::AppState;
use crate::web::Caller;
use crate::web::Refusal;
use crate::web::query::{FromPairs, Pairs, Params};
use crate::web::spoken::LANG;

const LAST_EVENT_ID: &str = "Last-Event-ID";

const EVENTS: &str = "Events, until one side closes. Who asks for `text/event-stream` and is \
    refused with 429 or 503 gets this status as well, so that a browser comes back: `retry` says \
    when, an `error` event holds the problem.";

/// The `id` of the last event that a client has. It is never refused, whatever it contains: a
/// browser does not reconnect after a refusal, and does not learn why. A repeated header counts as
/// an `id` that cannot be read.
pub struct LastEventId(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut lines = parts.headers.get_all(LAST_EVENT_ID).iter();
        let first = lines.next().map(|line| line.to_str().unwrap_or_default().to_owned());
        let is_repeated = lines.next().is_some();
        Ok(Self(first.map(|id| if is_repeated { String::new() } else { id })))
    }
}

/// Where to begin.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResumeParams {
    /// The `cursor` of the last frame that is known, for clients that cannot set `Last-Event-ID`,
    /// which comes first. One that cannot be read begins anew.
    #[param(value_type = Option<String>)]
    cursor: Option<String>,
    /// A ticket in place of a token; see `POST /tickets`.
    #[param(value_type = Option<String>)]
    #[expect(dead_code, reason = "the guard reads it")]
    ticket: Option<String>,
    /// The language, before `Accept-Language`: `fr`.
    #[param(value_type = Option<String>)]
    #[expect(dead_code, reason = "it was read with the header")]
    lang: Option<String>,
}

impl FromPairs for ResumeParams {
    fn from_pairs(mut pairs: Pairs) -> Result<Self, Problem> {
        let cursor = pairs.one("cursor", str::parse::<String>);
        let ticket = pairs.one(TICKET, str::parse::<String>);
        let lang = pairs.one(LANG, str::parse::<String>);
        pairs.finish(|| Some(Self { cursor, ticket, lang }))
    }
}

/// The parameters of [`Watch`], for the document.
#[derive(IntoParams)]
#[expect(dead_code, reason = "it describes, and holds nothing")]
#[into_params(parameter_in = Query)]
pub struct WatchParams {
    /// Only orders that are, or were before, in one of these; may be repeated.
    #[param(required = false)]
    status: Vec<Status>,
    /// Only this hero's.
    hero_id: Option<HeroId>,
    /// At most so many `feed` events a second.
    #[param(minimum = 1, maximum = 50, default = 10)]
    max_rate: Option<u8>,
    /// The `cursor` of the last frame that is known, for clients that cannot set `Last-Event-ID`,
    /// which comes first. One that cannot be read begins anew.
    #[param(value_type = Option<String>)]
    cursor: Option<String>,
    /// A ticket in place of a token; see `POST /tickets`.
    #[param(value_type = Option<String>)]
    ticket: Option<String>,
    /// The language, before `Accept-Language`: `fr`.
    #[param(value_type = Option<String>)]
    lang: Option<String>,
}

impl FromPairs for Watch {
    fn from_pairs(mut pairs: Pairs) -> Result<Self, Problem> {
        let status = pairs.many("status", str::parse);
        let hero_id = pairs.one("hero_id", str::parse);
        let max_rate = pairs.one("max_rate", |text| rate(text.parse().unwrap_or_default()));
        let cursor = pairs.one("cursor", str::parse::<String>);
        // They have been read before.
        let _ = pairs.one(TICKET, str::parse::<String>);
        let _ = pairs.one(LANG, str::parse::<String>);
        pairs.finish(|| Some(Self { status, hero_id, cursor, ..Self::all(max_rate) }))
    }
}

/// Listen to the orders of a hero
///
/// The same frames as on the hero's WebSocket, as Server-Sent Events: `welcome`, `order`,
/// `deleted`, `resync`, `reconnect`. `event` is the frame's `type`, `data` the frame, `id` its
/// `cursor`. A browser's `EventSource` comes back by itself and misses nothing. Where tokens are
/// asked for, it cannot send one: it comes with a ticket (`POST /tickets`), and when the stream has
/// ended with another one and `cursor`.
#[utoipa::path(
    get, path = "/heroes/{id}/events", tag = "heroes", operation_id = "listen_to_hero",
    params(("id" = HeroId, Path, description = "Whose."), ResumeParams,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that is known. One that cannot be read \
            begins anew.")),
    responses((status = 200, description = EVENTS, body = String, content_type = "text/event-stream"), OfListening),
)]
pub async fn of_hero(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id<HeroId>,
    Params(ResumeParams { cursor, .. }): Params<ResumeParams>,
    LastEventId(last): LastEventId,
    Extension(Outside { address, .. }): Extension<Outside>,
    Extension(Cut(cut)): Extension<Cut>,
) -> Result<Response, Refusal> {
    let since = state.commands.read_cursor(last.or(cursor)).await;
    Ok(open(state, Address::from(address), caller, StreamSubject::Hero(id, since), cut).await?)
}

/// Listen to the orders of every hero
///
/// `welcome`, then `feed` events: the newest state of every order that changed since the last one,
/// and how many orders stand where. A `feed` event that could not tell everything says `"gap":
/// true`, and what is missing follows in further ones. `id` is a frame's `cursor`: who comes back
/// with it is told first what changed meanwhile. A `welcome` that says `resynced` to a cursor
/// cannot tell that any more: read the orders then.
#[utoipa::path(
    get, path = "/events", tag = "orders", operation_id = "listen_to_all",
    params(WatchParams,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that is known.")),
    responses((status = 200, description = EVENTS, body = String, content_type = "text/event-stream"), OfWatching),
)]
pub async fn of_all(
    State(state): State<AppState>,
    caller: Caller,
    Params(mut watch): Params<Watch>,
    LastEventId(last): LastEventId,
    Extension(Outside { address, .. }): Extension<Outside>,
    Extension(Cut(cut)): Extension<Cut>,
) -> Result<Response, Refusal> {
    watch.cursor = last.or(watch.cursor);
    Ok(open(state, Address::from(address), caller, StreamSubject::All(watch), cut).await?)
}
