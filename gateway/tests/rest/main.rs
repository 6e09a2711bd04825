//! Tests the REST interface from outside: a whole gateway on a free port, with an embedded database
//! and bus.

mod chosen_language;
mod documents;
mod hero_routes;
mod list_pages;
mod meal_routes;
mod operation;
mod order_routes;
mod refused_requests;
mod rest_stack;
