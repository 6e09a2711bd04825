//! The problems of each operation in the `OpenAPI` document. They come from the one table of
//! problem types, so that both agree.

use std::collections::BTreeMap;

use galley_protocol::{Language, Problem, ProblemType};
use serde_json::json;
use utoipa::IntoResponses;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, KnownFormat, Ref, RefOr, Response, SchemaFormat};

/// The problems of every request.
const ALWAYS: [ProblemType; 6] = [
    ProblemType::InvalidParameter,
    ProblemType::Forbidden,
    ProblemType::MisdirectedRequest,
    ProblemType::RateLimited,
    ProblemType::Internal,
    ProblemType::Unavailable,
];

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $($kind:ident)*;)*) => {$(
        $(#[$doc])*
        pub enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses(&[$(ProblemType::$kind),*])
            }
        }
    )*};
}

problems! {
    /// Problems of the list endpoints.
    OfListing:;
    /// Problems of reading a hero, its orders or its events.
    OfReadingHero: HeroNotFound;
    /// Problems of the event stream of a hero.
    OfListening: HeroNotFound TooManySockets Overloaded Draining;
    /// Problems of the event stream of staff.
    OfWatching: TooManySockets Overloaded Draining;
    /// Problems of reading a meal.
    OfReadingMeal: MealNotFound;
    /// Problems of reading an order.
    OfReadingOrder: OrderNotFound;
    /// Problems of reading an explanation.
    OfExplaining: NotFound;
    /// Problems of asking for a ticket.
    OfIssuing:;
    /// Problems of creating a hero or a meal.
    OfCreating: IdempotencyKeyReused MalformedJson RequestTimeout BodyTooLarge UnsupportedMediaType ValidationFailed;
    /// Problems of changing a hero.
    OfChangingHero: HeroNotFound VersionMismatch MalformedJson RequestTimeout BodyTooLarge UnsupportedMediaType ValidationFailed;
    /// Problems of changing a meal.
    OfChangingMeal: MealNotFound VersionMismatch MalformedJson RequestTimeout BodyTooLarge UnsupportedMediaType ValidationFailed;
    /// Problems of deleting a hero.
    OfRemovingHero: HeroNotFound HasActiveOrders VersionMismatch;
    /// Problems of deleting a meal.
    OfRemovingMeal: MealNotFound HasActiveOrders VersionMismatch;
    /// Problems of placing an order.
    OfPlacing: HeroNotFound MealNotFound IdempotencyKeyReused TooManyOpenOrders Overloaded MalformedJson RequestTimeout BodyTooLarge UnsupportedMediaType
        ValidationFailed;
    /// Problems of cancelling an order.
    OfCancelling: OrderNotFound AlreadyFinished VersionMismatch Overloaded MalformedJson RequestTimeout BodyTooLarge UnsupportedMediaType
        ValidationFailed;
    /// Problems of cancelling or deleting an order, whichever fits.
    OfEnding: OrderNotFound VersionMismatch Overloaded MalformedJson RequestTimeout BodyTooLarge UnsupportedMediaType ValidationFailed;
}

/// Returns the responses that every request with a token requirement adds to its own.
pub fn of_guarded() -> BTreeMap<String, RefOr<Response>> {
    by_status(&[ProblemType::Unauthorized, ProblemType::Forbidden])
}

/// Returns one response per status, with an example per type.
fn responses(kinds: &[ProblemType]) -> BTreeMap<String, RefOr<Response>> {
    by_status(&[&ALWAYS, kinds].concat())
}

fn by_status(kinds: &[ProblemType]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<u16, Vec<ProblemType>>::new();
    for kind in kinds {
        by_status.entry(kind.status()).or_default().push(*kind);
    }
    by_status
        .into_iter()
        .map(|(status, kinds)| (status.to_string(), response(&kinds).into()))
        .collect()
}

fn response(kinds: &[ProblemType]) -> Response {
    let english = Language::default();
    let description: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`{}`: {}", kind.slug(), english.explanation(*kind)))
        .collect();
    let examples = kinds.iter().map(|kind| {
        let example = ExampleBuilder::new()
            .summary(english.title(*kind))
            .value(Some(json!(Problem::new(*kind))));
        (kind.slug(), example.build())
    });
    let schema = Some(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(schema).examples_from_iter(examples).build();
    let response = ResponseBuilder::new()
        .description(description.join("\n\n"))
        .content("application/problem+json", content);
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    let seconds =
        ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(0));
    let retry_after = HeaderBuilder::new()
        .schema(Some(seconds))
        .description(Some("Seconds after which to try again."))
        .build();
    if kinds.iter().any(|kind| kind.status() == 503 || kind.status() == 429) {
        response.header("Retry-After", retry_after).build()
    } else {
        response.build()
    }
}
