//! Heroes.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use galley_protocol::frame::Page;
use galley_protocol::{Hero, HeroId, HeroPatch, NewHero, Problem, ProblemType};
use galley_store::{Change, ChangeError, RemoveError};

use super::body::Json;
use super::conditions::{IfMatch, IfNoneMatch};
use super::id::Id;
use super::key::{Key, created_once};
use super::page::{self, ListParams};
use super::problems::{OfChangingHero, OfCreating, OfListing, OfReadingHero, OfRemovingHero};
use super::resource::{changed, created, read};
use crate::state::AppState;
use crate::store_problems::no_hero;
use crate::web::Caller;
use crate::web::Refusal;
use crate::web::query::Params;

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
pub async fn create(
    State(state): State<AppState>,
    _: Params<()>,
    Key(key): Key,
    Json(new): Json<NewHero>,
) -> Result<Response, Refusal> {
    let store = state.desk.store();
    let answer = |hero: Hero| created(&format!("/heroes/{}", hero.id), hero.version, &hero);
    let Some(key) = key else { return Ok(answer(store.create_hero(&new).await?)) };
    created_once(store.create_hero_once(&new, &key).await?, "hero", answer)
}

/// List heroes
///
/// By rising id. Follow `next_cursor`, or `Link: <…>; rel="next"`, until it is `null`.
#[utoipa::path(
    get, path = "/heroes", tag = "heroes", operation_id = "list_heroes", params(ListParams),
    responses(
        (status = 200, description = "A page.", body = Page<Hero>, headers(("Link" = String, description = "The next page."))),
        OfListing,
    ),
)]
pub async fn list(
    State(state): State<AppState>,
    uri: Uri,
    Params(params): Params<ListParams>,
) -> Result<Response, Refusal> {
    let (limit, page) = params.into_store();
    let heroes = state.desk.store().heroes(&page).await?;
    Ok(page::answer(heroes, limit, |hero| hero.id.get(), &uri))
}

/// Read a hero
#[utoipa::path(
    get, path = "/heroes/{id}", tag = "heroes", operation_id = "get_hero",
    params(
        ("id" = HeroId, Path, description = "Its identifier."),
        ("If-None-Match" = Option<String>, Header, description = "Versions that the caller has: `\"3\"`."),
    ),
    responses(
        (status = 200, description = "The hero.", body = Hero, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has this version.", headers(("ETag" = String, description = "Its version."))),
        OfReadingHero,
    ),
)]
pub async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id<HeroId>,
    _: Params<()>,
    known: IfNoneMatch,
) -> Result<Response, Refusal> {
    let hero = visible(&state, caller, id).await?;
    Ok(read(&known, hero.version, &hero))
}

/// Replace a hero
#[utoipa::path(
    put, path = "/heroes/{id}", tag = "heroes", operation_id = "replace_hero",
    params(
        ("id" = HeroId, Path, description = "Its identifier."),
        ("If-Match" = Option<String>, Header, description = "Only when it has this version: `\"3\"`."),
    ),
    request_body(content = NewHero, example = json!({"name": "Zoé", "planet": "Mars", "allergies": []})),
    responses(
        (status = 200, description = "The hero as it is now.", body = Hero, headers(
            ("ETag" = String, description = "Its new version."))),
        OfChangingHero,
    ),
)]
pub async fn replace(
    State(state): State<AppState>,
    Id(id): Id<HeroId>,
    _: Params<()>,
    guard: IfMatch,
    Json(hero): Json<NewHero>,
) -> Result<Response, Refusal> {
    change(&state, id, &guard, &Change::Replace(hero)).await
}

/// Change some fields of a hero
#[utoipa::path(
    patch, path = "/heroes/{id}", tag = "heroes", operation_id = "patch_hero",
    description = "A JSON merge patch (RFC 7396): an absent field stays, `null` restores a default.",
    params(
        ("id" = HeroId, Path, description = "Its identifier."),
        ("If-Match" = Option<String>, Header, description = "Only when it has this version: `\"3\"`."),
    ),
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
    State(state): State<AppState>,
    Id(id): Id<HeroId>,
    _: Params<()>,
    guard: IfMatch,
    Json(hero): Json<HeroPatch>,
) -> Result<Response, Refusal> {
    change(&state, id, &guard, &Change::Patch(hero)).await
}

/// Delete a hero
///
/// Its ended orders stay readable.
#[utoipa::path(
    delete, path = "/heroes/{id}", tag = "heroes", operation_id = "delete_hero",
    params(
        ("id" = HeroId, Path, description = "Its identifier."),
        ("If-Match" = Option<String>, Header, description = "Only when it has this version: `\"3\"`."),
    ),
    responses((status = 204, description = "It is gone."), OfRemovingHero),
)]
pub async fn remove(
    State(state): State<AppState>,
    Id(id): Id<HeroId>,
    _: Params<()>,
    guard: IfMatch,
) -> Result<Response, Refusal> {
    let store = state.desk.store();
    let removed = guard
        .guard(
            |error| matches!(error, RemoveError::Stale),
            |expected| store.remove_hero(id, expected),
        )
        .await;
    removed.map_err(|error| match error {
        RemoveError::NotFound => no_hero(id).into(),
        RemoveError::Stale => stale(id).into(),
        RemoveError::HasActiveOrders => Problem::new(ProblemType::HasActiveOrders)
            .with_detail(format!("hero {id} has orders that have not ended"))
            .into(),
        RemoveError::Store(error) => Refusal::from(error),
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn change(
    state: &AppState,
    id: HeroId,
    guard: &IfMatch,
    change: &Change<NewHero, HeroPatch>,
) -> Result<Response, Refusal> {
    let store = state.desk.store();
    let attempt = |expected| store.change_hero(id, change.clone(), expected);
    let hero = guard.guard(|error| matches!(error, ChangeError::Stale), attempt).await.map_err(
        |error| match error {
            ChangeError::NotFound => no_hero(id).into(),
            ChangeError::Stale => stale(id).into(),
            ChangeError::Store(error) => Refusal::from(error),
        },
    )?;
    Ok(changed(hero.version, &hero))
}

/// Returns a hero, if it exists and the caller may see it.
///
/// # Errors
/// The same answer in both cases, so that a caller that may not see a hero does not learn that it
/// exists.
pub async fn visible(state: &AppState, caller: Caller, id: HeroId) -> Result<Hero, Refusal> {
    let hero = if caller.may_see(id) { state.desk.store().hero(id).await? } else { None };
    hero.ok_or_else(|| no_hero(id).into())
}

fn stale(id: HeroId) -> Problem {
    Problem::new(ProblemType::VersionMismatch)
        .with_detail(format!("hero {id} has another version now"))
}
