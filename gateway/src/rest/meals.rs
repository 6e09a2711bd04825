//! Meals.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use galley_protocol::frame::Page;
use galley_protocol::{Meal, MealId, MealPatch, NewMeal, Problem, ProblemType};
use galley_store::{Change, ChangeError, RemoveError};

use super::body::Json;
use super::conditions::{IfMatch, IfNoneMatch};
use super::id::Id;
use super::key::{Key, created_once};
use super::page::{self, ListParams};
use super::problems::{OfChangingMeal, OfCreating, OfListing, OfReadingMeal, OfRemovingMeal};
use super::resource::{changed, created, read};
use crate::state::AppState;
use crate::web::Refusal;
use crate::web::query::Params;

/// Create a meal
///
/// With an `Idempotency-Key` the request can be repeated safely for at least 24 hours: the same key
/// and body lead to the same meal, as it is then. The keys of all callers that may create meals are
/// one set.
#[utoipa::path(
    post, path = "/meals", tag = "meals", operation_id = "create_meal",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "The caller's own name for this request.", example = "7f9c2ba4-e88f-4a5d")),
    request_body(content = NewMeal, example = json!({
        "name": "Onion soup", "ingredients": ["onion", "butter"], "price": 7.5, "origin_planet": "Earth",
        "description": "Hot, with bread.",
    })),
    responses(
        (status = 201, description = "The meal.", body = Meal, headers(
            ("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version."),
            ("Idempotent-Replayed" = String, description = "`true` when it was already there under its key."))),
        OfCreating,
    ),
)]
pub async fn create(
    State(state): State<AppState>,
    _: Params<()>,
    Key(key): Key,
    Json(new): Json<NewMeal>,
) -> Result<Response, Refusal> {
    let store = state.desk.store();
    let answer = |meal: Meal| created(&format!("/meals/{}", meal.id), meal.version, &meal);
    let Some(key) = key else { return Ok(answer(store.create_meal(&new).await?)) };
    created_once(store.create_meal_once(&new, &key).await?, "meal", answer)
}

/// List meals
///
/// By rising id. Follow `next_cursor`, or `Link: <…>; rel="next"`, until it is `null`.
#[utoipa::path(
    get, path = "/meals", tag = "meals", operation_id = "list_meals", params(ListParams),
    responses(
        (status = 200, description = "A page.", body = Page<Meal>, headers(("Link" = String, description = "The next page."))),
        OfListing,
    ),
)]
pub async fn list(
    State(state): State<AppState>,
    uri: Uri,
    Params(params): Params<ListParams>,
) -> Result<Response, Refusal> {
    let (limit, page) = params.into_store();
    let meals = state.desk.store().meals(&page).await?;
    Ok(page::answer(meals, limit, |meal| meal.id.get(), &uri))
}

/// Read a meal
#[utoipa::path(
    get, path = "/meals/{id}", tag = "meals", operation_id = "get_meal",
    params(
        ("id" = MealId, Path, description = "Its identifier."),
        ("If-None-Match" = Option<String>, Header, description = "Versions that the caller has: `\"3\"`."),
    ),
    responses(
        (status = 200, description = "The meal.", body = Meal, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has this version.", headers(("ETag" = String, description = "Its version."))),
        OfReadingMeal,
    ),
)]
pub async fn get(
    State(state): State<AppState>,
    Id(id): Id<MealId>,
    _: Params<()>,
    known: IfNoneMatch,
) -> Result<Response, Refusal> {
    let meal = state.desk.store().meal(id).await?.ok_or_else(|| no_meal(id))?;
    Ok(read(&known, meal.version, &meal))
}

/// Replace a meal
#[utoipa::path(
    put, path = "/meals/{id}", tag = "meals", operation_id = "replace_meal",
    params(
        ("id" = MealId, Path, description = "Its identifier."),
        ("If-Match" = Option<String>, Header, description = "Only when it has this version: `\"3\"`."),
    ),
    request_body(content = NewMeal, example = json!({
        "name": "Onion soup", "ingredients": ["onion"], "price": 6.9, "origin_planet": "Earth",
    })),
    responses(
        (status = 200, description = "The meal as it is now.", body = Meal, headers(
            ("ETag" = String, description = "Its new version."))),
        OfChangingMeal,
    ),
)]
pub async fn replace(
    State(state): State<AppState>,
    Id(id): Id<MealId>,
    _: Params<()>,
    guard: IfMatch,
    Json(meal): Json<NewMeal>,
) -> Result<Response, Refusal> {
    change(&state, id, &guard, &Change::Replace(meal)).await
}

/// Change some fields of a meal
#[utoipa::path(
    patch, path = "/meals/{id}", tag = "meals", operation_id = "patch_meal",
    description = "A JSON merge patch (RFC 7396): an absent field stays, `null` restores a default.",
    params(
        ("id" = MealId, Path, description = "Its identifier."),
        ("If-Match" = Option<String>, Header, description = "Only when it has this version: `\"3\"`."),
    ),
    request_body(content(
        (MealPatch = "application/merge-patch+json", example = json!({"price": 6.9, "description": null})),
        (MealPatch = "application/json", example = json!({"price": 6.9})),
    )),
    responses(
        (status = 200, description = "The meal as it is now.", body = Meal, headers(
            ("ETag" = String, description = "Its new version."))),
        OfChangingMeal,
    ),
)]
pub async fn patch(
    State(state): State<AppState>,
    Id(id): Id<MealId>,
    _: Params<()>,
    guard: IfMatch,
    Json(meal): Json<MealPatch>,
) -> Result<Response, Refusal> {
    change(&state, id, &guard, &Change::Patch(meal)).await
}

/// Take a meal off the menu
///
/// Ended orders on it stay readable.
#[utoipa::path(
    delete, path = "/meals/{id}", tag = "meals", operation_id = "delete_meal",
    params(
        ("id" = MealId, Path, description = "Its identifier."),
        ("If-Match" = Option<String>, Header, description = "Only when it has this version: `\"3\"`."),
    ),
    responses((status = 204, description = "It is gone."), OfRemovingMeal),
)]
pub async fn remove(
    State(state): State<AppState>,
    Id(id): Id<MealId>,
    _: Params<()>,
    guard: IfMatch,
) -> Result<Response, Refusal> {
    let store = state.desk.store();
    let removed = guard
        .guard(
            |error| matches!(error, RemoveError::Stale),
            |expected| store.remove_meal(id, expected),
        )
        .await;
    removed.map_err(|error| match error {
        RemoveError::NotFound => no_meal(id).into(),
        RemoveError::Stale => stale(id).into(),
        RemoveError::HasActiveOrders => Problem::new(ProblemType::HasActiveOrders)
            .with_detail(format!("orders on meal {id} have not ended"))
            .into(),
        RemoveError::Store(error) => Refusal::from(error),
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn change(
    state: &AppState,
    id: MealId,
    guard: &IfMatch,
    change: &Change<NewMeal, MealPatch>,
) -> Result<Response, Refusal> {
    let store = state.desk.store();
    let attempt = |expected| store.change_meal(id, change.clone(), expected);
    let meal = guard.guard(|error| matches!(error, ChangeError::Stale), attempt).await.map_err(
        |error| match error {
            ChangeError::NotFound => no_meal(id).into(),
            ChangeError::Stale => stale(id).into(),
            ChangeError::Store(error) => Refusal::from(error),
        },
    )?;
    Ok(changed(meal.version, &meal))
}

fn no_meal(id: MealId) -> Problem {
    Problem::new(ProblemType::MealNotFound).with_detail(format!("there is no meal {id}"))
}

fn stale(id: MealId) -> Problem {
    Problem::new(ProblemType::VersionMismatch)
        .with_detail(format!("meal {id} has another version now"))
}
