//! Heroes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use galley_protocol::frame::Page;
use galley_protocol::{Hero, HeroId, HeroPatch, NewHero, Sentence};
use galley_store::{Menu, Store};

use super::body::JsonBody;
use super::page::ListParams;
use super::path_id::Id;
use super::problems::{OfChangingHero, OfCreating, OfListing, OfReadingHero, OfRemovingHero};
use super::read_back::ReadBack;
use super::resource_handlers::{
    self, ChangeRequest, CreateRequest, HandlerResult, ListRequest, ReadRequest, Served,
};
use crate::limits::CallerKey;
use crate::revocations::{dismiss, sign_out};
use crate::state::AppState;
use crate::store_problems::no_hero;
use crate::web::conditions::{IfMatchHeader, IfNoneMatchHeader};
use crate::web::query::Params;
use crate::web::{Caller, Refusal};

impl Served for Hero {
    fn menu(store: &dyn Store) -> &dyn Menu<Self> {
        store.heroes()
    }

    const KEY_REUSED: Sentence = Sentence::KeyOfOtherHero;

    fn missing(id: HeroId) -> Sentence {
        Sentence::NoHero(id)
    }

    fn changed(id: HeroId) -> Sentence {
        Sentence::HeroChanged(id)
    }

    fn active_orders(id: HeroId) -> Sentence {
        Sentence::HeroHasOrders(id)
    }
}

/// Create a hero
///
/// With an `Idempotency-Key` the request can be repeated safely for at least 24 hours: the same key
/// and body lead to the same hero, as it is then. The keys of all callers that may create heroes
/// are one set.
#[utoipa::path(
    post, path = "/heroes", tag = "heroes", operation_id = "create_hero",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "The caller's own name for this request.", example = "7f9c2ba4-e88f-4a5d")),
    request_body(content = NewHero, example = json!({"name": "Zoé", "planet": "Earth", "allergies": ["peanut"]})),
    responses(
        (status = 201, description = "The hero.", body = Hero, headers(
            ("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version."),
            ("Idempotent-Replayed" = String, description = "`true` when it was already there under its key."))),
        OfCreating,
    ),
)]
pub async fn create(request: CreateRequest, JsonBody(new): JsonBody<NewHero>) -> HandlerResult {
    resource_handlers::create::<Hero>(request, new).await
}

/// List heroes
///
/// By rising id. Follow `next_cursor`, or `Link: <…>; rel="next"`, until it is `null`. A page may
/// hold fewer entries than `limit`, or none, before that: a search looks at a bounded number of
/// entries, and a page is bounded in bytes.
#[utoipa::path(
    get, path = "/heroes", tag = "heroes", operation_id = "list_heroes", params(ListParams),
    responses(
        (status = 200, description = "A page.", body = Page<Hero>, headers(("Link" = String, description = "The next page."))),
        OfListing,
    ),
)]
pub async fn list(request: ListRequest) -> HandlerResult {
    resource_handlers::list::<Hero>(request).await
}

/// Read a hero
#[utoipa::path(
    get, path = "/heroes/{id}", tag = "heroes", operation_id = "get_hero",
    params(("id" = HeroId, Path, description = "Its identifier."), IfNoneMatchHeader),
    responses(
        (status = 200, description = "The hero.", body = Hero, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has this version.", headers(("ETag" = String, description = "Its version."))),
        OfReadingHero,
    ),
)]
pub async fn get(caller: Caller, request: ReadRequest<Hero>) -> HandlerResult {
    let Id(id) = request.2;
    if caller.may_see(id) {
        resource_handlers::get::<Hero>(request).await
    } else {
        Err(no_hero(id).into())
    }
}

/// Replace a hero
#[utoipa::path(
    put, path = "/heroes/{id}", tag = "heroes", operation_id = "replace_hero",
    description = "`id` and `version` may stand in the body as they were read; any other value is an error.",
    params(("id" = HeroId, Path, description = "Its identifier."), IfMatchHeader),
    request_body(content = NewHero, example = json!({"name": "Zoé", "planet": "Mars", "allergies": []})),
    responses(
        (status = 200, description = "The hero as it is now.", body = Hero, headers(
            ("ETag" = String, description = "Its new version."))),
        OfChangingHero,
    ),
)]
pub async fn replace(
    request: ChangeRequest<Hero>,
    JsonBody(new): JsonBody<ReadBack<NewHero>>,
) -> HandlerResult {
    resource_handlers::update::<Hero, _>(request, new).await
}

/// Change some fields of a hero
#[utoipa::path(
    patch, path = "/heroes/{id}", tag = "heroes", operation_id = "patch_hero",
    description = "A JSON merge patch (RFC 7396): an absent field stays, `null` restores a default. \
                   `id` and `version` may stand in the body as they were read.",
    params(("id" = HeroId, Path, description = "Its identifier."), IfMatchHeader),
    request_body(content(
        (HeroPatch = "application/merge-patch+json", example = json!({"allergies": ["peanut", "milk"]})),
        (HeroPatch = "application/json", example = json!({"planet": "Mars"})),
    )),
    responses(
        (status = 200, description = "The hero as it is now.", body = Hero, headers(
            ("ETag" = String, description = "Its new version."))),
        OfChangingHero,
    ),
)]
pub async fn patch(
    request: ChangeRequest<Hero>,
    JsonBody(patch): JsonBody<ReadBack<HeroPatch>>,
) -> HandlerResult {
    resource_handlers::update::<Hero, _>(request, patch).await
}

/// Delete a hero
///
/// Its ended orders stay readable. Its sockets are closed with 1008, its event streams end, and its
/// tokens are refused with 401: at once on this gateway, within seconds on all.
#[utoipa::path(
    delete, path = "/heroes/{id}", tag = "heroes", operation_id = "delete_hero",
    params(("id" = HeroId, Path, description = "Its identifier."), IfMatchHeader),
    responses((status = 204, description = "It is gone."), OfRemovingHero),
)]
pub async fn remove(request: ChangeRequest<Hero>) -> HandlerResult {
    let (State(state), Id(id), ..) = &request;
    let (state, id) = (state.clone(), *id);
    let removed = resource_handlers::remove::<Hero>(request).await?;
    dismiss(&state, [id]);
    Ok(removed)
}

/// Sign a hero out
///
/// Its tokens that were issued in this second or before are refused with 401, and the sockets and
/// event streams that they opened are closed with 4401: at once on this gateway, within two seconds
/// on all. The hero itself may do this, or staff. Tokens that are issued later are good.
#[utoipa::path(
    post, path = "/heroes/{id}/sign-out", tag = "heroes", operation_id = "sign_hero_out",
    params(("id" = HeroId, Path, description = "Its identifier.")),
    responses((status = 204, description = "It is signed out."), OfReadingHero),
)]
pub async fn end_tokens(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id<HeroId>,
    _: Params<()>,
) -> HandlerResult {
    let signed_out =
        if caller.may_see(id) { state.commands.store().sign_out(id).await? } else { None };
    sign_out(&state, signed_out.ok_or_else(|| no_hero(id))?);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A hero. The problem is the same for a missing hero and for one that the caller may not see: a
/// caller does not learn which heroes exist.
pub async fn visible(
    state: &AppState,
    caller: Caller,
    key: CallerKey,
    id: HeroId,
) -> Result<Hero, Refusal> {
    if caller.may_see(id) {
        resource_handlers::find(state, key, id).await
    } else {
        Err(no_hero(id).into())
    }
}
