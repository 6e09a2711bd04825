//! Meals.

use galley_protocol::frame::Page;
use galley_protocol::{Meal, MealId, MealPatch, NewMeal, Sentence};
use galley_store::{Menu, Store};

use super::body::JsonBody;
use super::page::ListParams;
use super::problems::{OfChangingMeal, OfCreating, OfListing, OfReadingMeal, OfRemovingMeal};
use super::read_back::ReadBack;
use super::resource_handlers::{
    self, ChangeRequest, CreateRequest, HandlerResult, ListRequest, ReadRequest, Served,
};
use crate::web::conditions::{IfMatchHeader, IfNoneMatchHeader};

impl Served for Meal {
    fn menu(store: &dyn Store) -> &dyn Menu<Self> {
        store.meals()
    }

    const KEY_REUSED: Sentence = Sentence::KeyOfOtherMeal;

    fn missing(id: MealId) -> Sentence {
        Sentence::NoMeal(id)
    }

    fn changed(id: MealId) -> Sentence {
        Sentence::MealChanged(id)
    }

    fn active_orders(id: MealId) -> Sentence {
        Sentence::MealHasOrders(id)
    }
}

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
pub async fn create(request: CreateRequest, JsonBody(new): JsonBody<NewMeal>) -> HandlerResult {
    resource_handlers::create::<Meal>(request, new).await
}

/// List meals
///
/// By rising id. Follow `next_cursor`, or `Link: <…>; rel="next"`, until it is `null`. A page may
/// hold fewer entries than `limit`, or none, before that: a search looks at a bounded number of
/// entries, and a page is bounded in bytes.
#[utoipa::path(
    get, path = "/meals", tag = "meals", operation_id = "list_meals", params(ListParams),
    responses(
        (status = 200, description = "A page.", body = Page<Meal>, headers(("Link" = String, description = "The next page."))),
        OfListing,
    ),
)]
pub async fn list(request: ListRequest) -> HandlerResult {
    resource_handlers::list::<Meal>(request).await
}

/// Read a meal
#[utoipa::path(
    get, path = "/meals/{id}", tag = "meals", operation_id = "get_meal",
    params(("id" = MealId, Path, description = "Its identifier."), IfNoneMatchHeader),
    responses(
        (status = 200, description = "The meal.", body = Meal, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has this version.", headers(("ETag" = String, description = "Its version."))),
        OfReadingMeal,
    ),
)]
pub async fn get(request: ReadRequest<Meal>) -> HandlerResult {
    resource_handlers::get::<Meal>(request).await
}

/// Replace a meal
#[utoipa::path(
    put, path = "/meals/{id}", tag = "meals", operation_id = "replace_meal",
    description = "`id` and `version` may stand in the body as they were read; any other value is an error.",
    params(("id" = MealId, Path, description = "Its identifier."), IfMatchHeader),
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
    request: ChangeRequest<Meal>,
    JsonBody(new): JsonBody<ReadBack<NewMeal>>,
) -> HandlerResult {
    resource_handlers::update::<Meal, _>(request, new).await
}

/// Change some fields of a meal
#[utoipa::path(
    patch, path = "/meals/{id}", tag = "meals", operation_id = "patch_meal",
    description = "A JSON merge patch (RFC 7396): an absent field stays, `null` restores a default. \
                   `id` and `version` may stand in the body as they were read.",
    params(("id" = MealId, Path, description = "Its identifier."), IfMatchHeader),
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
    request: ChangeRequest<Meal>,
    JsonBody(patch): JsonBody<ReadBack<MealPatch>>,
) -> HandlerResult {
    resource_handlers::update::<Meal, _>(request, patch).await
}

/// Take a meal off the menu
///
/// Ended orders on it stay readable.
#[utoipa::path(
    delete, path = "/meals/{id}", tag = "meals", operation_id = "delete_meal",
    params(("id" = MealId, Path, description = "Its identifier."), IfMatchHeader),
    responses((status = 204, description = "It is gone."), OfRemovingMeal),
)]
pub async fn remove(request: ChangeRequest<Meal>) -> HandlerResult {
    resource_handlers::remove::<Meal>(request).await
}
