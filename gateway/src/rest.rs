//! REST: heroes, meals, orders, health, and the documentation of this service.
//!
//! Handlers are thin: extract, call the desk or the store, answer. The routes and the `OpenAPI`
//! document come from the same annotations, so they cannot drift apart. Our own extractors read
//! parameters, headers and bodies, because every refusal is a problem that names what is wrong.

mod body;
mod conditions;
mod docs;
mod ending;
mod events;
mod health;
mod heroes;
mod id;
mod key;
mod meals;
mod orders;
mod page;
mod parameters;
mod problems;
mod resource;

use axum::Router;
use galley_protocol::{FieldError, Order, Problem};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Described};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;
use crate::web::guard;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Galley",
        version = "1",
        description = "Heroes order meals; a worker prepares the orders; every change of an order reaches the hero's \
                       sockets at `/ws`, or `GET /heroes/{id}/events`, the moment it is committed: \
                       [`/asyncapi.json`](/asyncapi.json) describes those. Every error is `application/problem+json` \
                       (RFC 9457); its `type` is a path that explains it.",
        license(name = "MIT", identifier = "MIT"),
    ),
    tags(
        (name = "heroes", description = "Who orders."),
        (name = "meals", description = "What there is to order."),
        (name = "orders", description = "PENDING, then IN_PROGRESS, then COMPLETED; or CANCELLED before."),
        (name = "operation", description = "For balancers, monitoring and people who keep it running."),
        (name = "problems", description = "What can go wrong."),
    ),
    components(schemas(Problem, FieldError, Order)),
)]
struct Document;

/// The routes of REST, without the [`web::layers`](crate::web::layers). Each is in the group of the
/// callers that may use it.
pub fn router(state: &AppState) -> Router<AppState> {
    let members = OpenApiRouter::new()
        .routes(routes!(heroes::get))
        .routes(routes!(orders::of_hero))
        .routes(routes!(events::of_hero))
        .routes(routes!(meals::list))
        .routes(routes!(meals::get))
        .routes(routes!(orders::place, orders::list))
        .routes(routes!(orders::get, ending::end))
        .routes(routes!(ending::cancel));
    let staff = OpenApiRouter::new()
        .routes(routes!(heroes::create, heroes::list))
        .routes(routes!(heroes::replace, heroes::patch, heroes::remove))
        .routes(routes!(meals::create))
        .routes(routes!(meals::replace, meals::patch, meals::remove))
        .routes(routes!(events::of_all))
        .routes(routes!(health::scrape));
    let everybody = OpenApiRouter::new()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(docs::describe))
        .routes(routes!(docs::explain));
    let (mut guarded, mut described) =
        guard::members(state, members).merge(guard::staff(state, staff)).split_for_parts();
    if state.verifier.is_some() {
        ask_for_tokens(&mut described);
    }
    let (open, others) = everybody.split_for_parts();
    guarded = guarded.merge(open);
    let mut document = Document::openapi();
    document.merge(described);
    document.merge(others);
    guarded.merge(docs::router(&document))
}

/// Adds the token requirement, and the answers without a token, to every operation.
fn ask_for_tokens(described: &mut Described) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = described.components.get_or_insert_with(Components::new);
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    for item in described.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            for (status, response) in problems::of_guarded() {
                operation.responses.responses.entry(status).or_insert(response);
            }
            operation.security =
                Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
        }
    }
}
