//! REST: heroes, meals, orders, health, and what this service says about itself.
//!
//! Handlers are thin: extract, call the desk or the store, answer. The routes and the document come from the same
//! annotations, so that they cannot drift apart. Parameters, headers and bodies are read by extractors of ours, because
//! every refusal is a problem that names what is wrong.

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
pub mod params;
mod problems;
mod resource;

use axum::{Extension, Router};
use galley_protocol::{FieldError, Order, Problem};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;
use health::Probes;

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

/// The routes of REST, for [`http::layers`](crate::http::layers) to be put around.
pub fn router() -> Router<AppState> {
    let (routes, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(heroes::create, heroes::list))
        .routes(routes!(heroes::get, heroes::replace, heroes::patch, heroes::remove))
        .routes(routes!(orders::of_hero))
        .routes(routes!(events::of_hero))
        .routes(routes!(meals::create, meals::list))
        .routes(routes!(meals::get, meals::replace, meals::patch, meals::remove))
        .routes(routes!(orders::place, orders::list))
        .routes(routes!(events::of_all))
        .routes(routes!(orders::get, ending::end))
        .routes(routes!(ending::cancel))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::scrape))
        .routes(routes!(docs::describe))
        .routes(routes!(docs::explain))
        .split_for_parts();
    routes.layer(Extension(Probes::default())).merge(docs::router(&document))
}
