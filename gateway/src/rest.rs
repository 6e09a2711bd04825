//! REST: heroes, meals, orders, health, and the documentation of this service.
//!
//! Handlers are thin: extract, call the commands or the store, answer. The routes and the `OpenAPI`
//! document come from the same annotations, so they cannot drift apart. The extractors for
//! parameters, headers and bodies are our own: every refusal must be a problem that names the
//! wrong part.

mod body;
mod cancel_handlers;
mod docs;
mod event_stream_handlers;
mod hero_handlers;
mod idempotency_header;
mod live_page;
mod meal_handlers;
mod openapi_refinements;
mod operations_handler;
mod order_handlers;
mod page;
mod path_id;
mod problems;
mod read_back;
mod readiness;
mod resource_handlers;
mod sign_in_handlers;
mod ticket_handlers;

use axum::routing::get;
use axum::{Extension, Router};
use galley_protocol::{FieldError, Order, Problem};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Described, Server};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;
use crate::web::{guard, observe};
use docs::LiveDocument;

/// The routes that the document does not describe.
const BESIDE_THE_DOCUMENT: [&str; 9] = [
    "/",
    "/assets/{*path}",
    "/docs",
    "/docs/",
    "/docs/live",
    "/docs/live/",
    "/docs/{*file}",
    "/openapi.json",
    observe::SOCKETS,
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Galley",
        version = "1",
        description = "Heroes order meals; a worker prepares the orders; every change of an order reaches the hero's \
                       sockets at `/ws`, or `GET /heroes/{id}/events`, the moment it is committed: \
                       [a page](live/) and [`/asyncapi.json`](../asyncapi.json) describe those. Every error is `application/problem+json` \
                       (RFC 9457); its `type` is a path that explains it, its `instance` names the request (`X-Request-Id`). \
                       `traceparent` (W3C Trace Context) names the span of the caller. `Accept-Language` (RFC 9110 section 12.5.4) \
                       names the languages of the reader, for problems and the messages of orders that no person wrote; \
                       `Content-Language` says which one came. English stands in for languages that this service does not speak.",
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
        .routes(routes!(hero_handlers::get))
        .routes(routes!(hero_handlers::end_tokens))
        .routes(routes!(order_handlers::of_hero))
        .routes(routes!(event_stream_handlers::of_hero))
        .routes(routes!(ticket_handlers::create))
        .routes(routes!(sign_in_handlers::who))
        .routes(routes!(meal_handlers::list))
        .routes(routes!(meal_handlers::get))
        .routes(routes!(order_handlers::place, order_handlers::list))
        .routes(routes!(order_handlers::get, cancel_handlers::end))
        .routes(routes!(cancel_handlers::cancel));
    let staff = OpenApiRouter::new()
        .routes(routes!(hero_handlers::create, hero_handlers::list))
        .routes(routes!(hero_handlers::replace, hero_handlers::patch, hero_handlers::remove))
        .routes(routes!(meal_handlers::create))
        .routes(routes!(meal_handlers::replace, meal_handlers::patch, meal_handlers::remove))
        .routes(routes!(event_stream_handlers::of_all))
        .routes(routes!(operations_handler::show))
        .routes(routes!(readiness::scrape));
    let everybody = OpenApiRouter::new()
        .routes(routes!(readiness::alive))
        .routes(routes!(readiness::ready))
        .routes(routes!(sign_in_handlers::how))
        .routes(routes!(docs::describe))
        .routes(routes!(docs::explain));
    let (mut guarded, mut described) =
        guard::members(state, members).merge(guard::staff(state, staff)).split_for_parts();
    if state.verifier.is_some() {
        ask_for_tokens(&mut described);
    }
    let base = &state.entrance.base;
    let live = LiveDocument::of(base);
    let everybody = everybody.layer(Extension(live.clone()));
    let (open, others) = everybody.split_for_parts();
    guarded = guarded.merge(open);
    let mut document = Document::openapi();
    let server = if base.as_str().is_empty() { "/" } else { base.as_str() };
    document.servers = Some(vec![Server::new(server)]);
    document.merge(described);
    document.merge(others);
    expect_requests(&document);
    guarded.merge(docs::router(&document, live))
}

/// Registers the metrics of every operation of the document, and of the routes beside it.
fn expect_requests(document: &Described) {
    for (route, item) in &document.paths.paths {
        let operations = [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ];
        for (method, operation) in operations {
            if operation.is_some() {
                observe::expect(method, route);
            }
        }
    }
    for route in BESIDE_THE_DOCUMENT {
        observe::expect("GET", route);
    }
    observe::expect_unmatched();
}

/// Returns the routes for operators, without tokens.
pub fn inspection() -> Router<AppState> {
    Router::new()
        .route("/metrics", get(readiness::scrape))
        .route("/healthz", get(readiness::alive))
        .route("/readyz", get(readiness::ready))
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
