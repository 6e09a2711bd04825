//! Orders: placing and reading them.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use galley_protocol::fields::Fields;
use galley_protocol::frame::Page;
use galley_protocol::strict::Strict;
use galley_protocol::{
    GetOrder, HeroId, ListOrders, MealId, OfHero, Order, OrderId, OrderView, PageCursor,
    PlaceOrder, Problem, Status, Timestamp,
};
use galley_store::ViewedOrder;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::body::{FromJson, JsonBody};
use super::hero_handlers::visible;
use super::idempotency_header::{IdempotencyHeader, replayed};
use super::page::{self, limit};
use super::path_id::Id;
use super::problems::{OfListing, OfPlacing, OfReadingHero, OfReadingOrder};
use super::resource_handlers::{location, read_with_hero};
use crate::limits::CallerKey;
use crate::state::AppState;
use crate::store_problems::no_hero;
use crate::web::Caller;
use crate::web::Refusal;
use crate::web::conditions::IfNoneMatch;
use crate::web::query::{FromPairs, Pairs, Params};
use crate::web::request_identity::trace;
use crate::web::spoken::Spoken;

/// What is needed to place an order.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// Who orders.
    hero_id: HeroId,
    /// What.
    meal_id: MealId,
}

impl FromJson for OfHero<PlaceOrder, HeroId> {
    fn from_json(body: Strict) -> Result<Self, Problem> {
        let mut fields = Fields::new(body)?;
        let hero_id = fields.required_number("hero_id", HeroId::new);
        let meal_id = fields.required_number("meal_id", MealId::new);
        fields.finish(|| {
            let command = PlaceOrder::of(meal_id?);
            Some(Self { hero_id: hero_id?, command })
        })
    }
}

/// The parameters of [`ListOrders`], for the document.
#[derive(IntoParams)]
#[expect(dead_code, reason = "it describes, and holds nothing")]
#[into_params(parameter_in = Query)]
pub struct OrdersParams {
    /// Only of this meal.
    meal_id: Option<MealId>,
    /// Only those placed at this time or later.
    from: Option<Timestamp>,
    /// Only those placed before this time.
    to: Option<Timestamp>,
    /// Only in one of these; may be repeated.
    #[param(required = false)]
    status: Vec<Status>,
    /// At most so many entries.
    #[param(required = false, format = Int32, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The `next_cursor` of the page before.
    cursor: Option<PageCursor>,
}

impl FromPairs for ListOrders {
    fn from_pairs(mut pairs: Pairs) -> Result<Self, Problem> {
        let meal_id = pairs.one("meal_id", str::parse);
        let from = pairs.one("from", str::parse);
        let to = pairs.one("to", str::parse);
        let status = pairs.many("status", str::parse);
        let limit = limit(&mut pairs);
        let cursor = pairs.one("cursor", str::parse);
        pairs.finish(|| Some(Self { meal_id, from, to, status, limit, cursor }))
    }
}

impl FromPairs for OfHero<ListOrders> {
    fn from_pairs(mut pairs: Pairs) -> Result<Self, Problem> {
        let hero_id = pairs.one("hero_id", str::parse);
        Ok(Self { hero_id, command: ListOrders::from_pairs(pairs)? })
    }
}

/// Place an order
///
/// The order is stored when this answers; a worker prepares it afterwards. With an
/// `Idempotency-Key` the request can be repeated safely for at least 24 hours: the same key and
/// body lead to the same order. A key belongs to the hero, whoever brings it, here or on a socket.
#[utoipa::path(
    post, path = "/orders", tag = "orders", operation_id = "place_order",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "The caller's own name for this request.", example = "7f9c2ba4-e88f-4a5d")),
    request_body(content = NewOrder, example = json!({"hero_id": 1, "meal_id": 2})),
    responses(
        (status = 202, description = "The order; PENDING, unless it is a repetition.", body = Order, headers(
            ("Location" = String, description = "Where it is."),
            ("Idempotent-Replayed" = String, description = "`true` when the order was already there under its key."))),
        OfPlacing,
    ),
)]
pub async fn place(
    State(state): State<AppState>,
    caller: Caller,
    _: Params<()>,
    IdempotencyHeader(key): IdempotencyHeader,
    JsonBody(OfHero { hero_id, command }): JsonBody<OfHero<PlaceOrder, HeroId>>,
) -> Result<Response, Refusal> {
    if !caller.may_see(hero_id) {
        return Err(no_hero(hero_id).into());
    }
    let command = PlaceOrder { key, ..command };
    let placed = state.commands.place(OfHero { hero_id, command }, trace()).await?;
    let location = location(&format!("/orders/{}", placed.order.id));
    let answer = (StatusCode::ACCEPTED, [(header::LOCATION, location)], Spoken(placed.order))
        .into_response();
    Ok(if placed.replayed { replayed(answer) } else { answer })
}

/// Read an order
///
/// The meal is shown as it was when the order was placed, the hero as it is. `ETag` is the version
/// of the order, for `If-Match`; when its hero has been changed, the version of the hero follows
/// after a dot.
#[utoipa::path(
    get, path = "/orders/{id}", tag = "orders", operation_id = "get_order",
    params(
        ("id" = OrderId, Path, description = "Its identifier."),
        ("If-None-Match" = Option<String>, Header, description = "Answers 304 when the order still has this `ETag`."),
    ),
    responses(
        (status = 200, description = "The order.", body = OrderView, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has this version.", headers(("ETag" = String, description = "Its version."))),
        OfReadingOrder,
    ),
)]
pub async fn get(
    State(state): State<AppState>,
    caller: Caller,
    key: CallerKey,
    Id(order_id): Id<OrderId>,
    _: Params<()>,
    known: IfNoneMatch,
) -> Result<Response, Refusal> {
    let request = OfHero { hero_id: caller.hero_id(), command: GetOrder { order_id } };
    let turn = state.limits.reads.take(key).await?;
    let ViewedOrder { view, hero_version } = state.commands.get(turn, request).await?;
    Ok(read_with_hero(&known, view.order.version, hero_version, &view))
}

/// List orders
///
/// Newest first. Follow `next_cursor`, or `Link: <…>; rel="next"`, until it is `null`. A page may
/// hold fewer entries than `limit`, or none, before that: a search looks at a bounded number of
/// orders, and a page is bounded in bytes.
#[utoipa::path(
    get, path = "/orders", tag = "orders", operation_id = "list_orders",
    params(("hero_id" = Option<HeroId>, Query, description = "Only this hero's."), OrdersParams),
    responses(
        (status = 200, description = "A page.", body = Page<OrderView>, headers(
            ("Link" = String, description = "The next page."))),
        OfListing,
    ),
)]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    key: CallerKey,
    uri: Uri,
    Params(OfHero { hero_id, command }): Params<OfHero<ListOrders>>,
) -> Result<Response, Refusal> {
    match hero_id {
        // The same answer as for a hero that does not exist.
        Some(id) if !caller.may_see(id) => Ok(page::linked(
            Page::<OrderView> { items: Vec::new(), next_cursor: None },
            &uri,
            Spoken,
        )),
        hero_id => {
            let hero_id = hero_id.or(caller.hero_id());
            let turn = state.limits.reads.take(key).await?;
            Ok(page::linked(
                state.commands.list(turn, OfHero { hero_id, command }).await?,
                &uri,
                Spoken,
            ))
        }
    }
}

/// List the orders of a hero
///
/// Newest first. Follow `next_cursor` until it is `null`, also after a short or an empty page.
#[utoipa::path(
    get, path = "/heroes/{id}/orders", tag = "heroes", operation_id = "list_orders_of_hero",
    params(("id" = HeroId, Path, description = "Whose."), OrdersParams),
    responses(
        (status = 200, description = "A page.", body = Page<OrderView>, headers(
            ("Link" = String, description = "The next page."))),
        OfReadingHero,
    ),
)]
pub async fn of_hero(
    State(state): State<AppState>,
    caller: Caller,
    key: CallerKey,
    Id(id): Id<HeroId>,
    uri: Uri,
    Params(command): Params<ListOrders>,
) -> Result<Response, Refusal> {
    visible(&state, caller, key, id).await?;
    let turn = state.limits.reads.take(key).await?;
    let request = OfHero { hero_id: Some(id), command };
    Ok(page::linked(state.commands.list(turn, request).await?, &uri, Spoken))
}
