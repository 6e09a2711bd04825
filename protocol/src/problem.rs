//! The one table of problem types (RFC 9457), used by REST and in `error` frames alike.

use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::{Order, TraceContext, TraceId};

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Which: a JSON pointer into the body as a URI fragment (`#/name`), a query parameter
    /// (`?limit`), a path parameter (`/{id}`) or a header (its name).
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A problem (RFC 9457 section 3), as it goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// A path under this service that explains the problem type.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// The same for each problem of a type.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// The wrong fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// The order as it is, when that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub order: Option<Box<Order>>,
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after_ms: Option<u64>,
    /// The request that met the problem: `/requests/` and its `X-Request-Id`. No page is there. A
    /// frame has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub instance: Option<Box<str>>,
    /// The trace of the request or command, if it is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub trace_id: Option<Box<TraceId>>,
}

/// The path that explains the type.
impl Serialize for ProblemType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("/problems/{}", self.slug()))
    }
}

/// Any path of that form, because a later version may have more types.
impl PartialSchema for ProblemType {
    fn schema() -> RefOr<Schema> {
        let known = Self::ALL.iter().map(|kind| format!("/problems/{}", kind.slug()));
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^/problems/[a-z-]+$"))
            .examples(known)
            .build()
            .into()
    }
}

impl ToSchema for ProblemType {}

macro_rules! problem_types {
    ($($name:ident $status:literal $slug:literal $title:literal $explanation:literal)*) => {
        /// The type of a problem.
        #[allow(clippy::doc_markdown, reason = "the explanations go out as plain text too")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemType {
            $(#[doc = $explanation] $name,)*
        }

        impl ProblemType {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the stable name, the last part of `type`.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug),* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// Returns the name of the type for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }

            /// Returns its meaning and what to do about it.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation),* }
            }
        }
    };
}

problem_types! {
    BadRequest 400 "bad-request" "Bad request"
        "What came is no request in HTTP/1.1 (RFC 9112). The connection is closed."
    MalformedJson 400 "malformed-json" "Malformed JSON"
        "The body or frame is not one JSON value in UTF-8, or it is nested too deeply. Nothing was changed."
    InvalidParameter 400 "invalid-parameter" "Invalid parameter"
        "A path or query parameter or a header is malformed, unknown or out of bounds. `errors` names each. Nothing was changed."
    UnknownCommand 400 "unknown-command" "Unknown command"
        "The frame's `type`, or the first word of the line, is no command. `detail` names the nearest one; `help` lists all."
    BadHandshake 400 "bad-handshake" "Bad WebSocket handshake"
        "The request is not a WebSocket opening handshake of version 13 as RFC 6455 section 4.2.1 asks for."
    Unauthorized 401 "unauthorized" "Unauthorized"
        "This service asks who you are: send `Authorization: Bearer` with a token that has not expired. Nothing was changed."
    Forbidden 403 "forbidden" "Forbidden"
        "This is not for this kind of client: a hero places and cancels, staff watches the whole feed and manages heroes and meals; and pages of other origins must be allowed."
    NotFound 404 "not-found" "Not found"
        "Nothing is at this path. `/docs` lists what there is."
    HeroNotFound 404 "hero-not-found" "Hero not found"
        "There is no hero with this id, or it was deleted."
    MealNotFound 404 "meal-not-found" "Meal not found"
        "There is no meal with this id, or it was taken off the menu."
    OrderNotFound 404 "order-not-found" "Order not found"
        "There is no order with this id, or it was deleted, or it belongs to another hero."
    MethodNotAllowed 405 "method-not-allowed" "Method not allowed"
        "The path exists, the method does not. `Allow` lists those that do."
    RequestTimeout 408 "request-timeout" "Request timeout"
        "The body did not arrive within 10 seconds. Nothing was changed; the connection is closed."
    HasActiveOrders 409 "has-active-orders" "Has active orders"
        "A hero or meal cannot be deleted while an order on it is PENDING or IN_PROGRESS. Wait for their end or cancel them first."
    AlreadyFinished 409 "already-finished" "Already finished"
        "The order had ended before it could be cancelled. `order` shows how."
    NotFinished 409 "not-finished" "Not finished"
        "Only an order that has ended can be deleted. `order` shows where it stands; cancel it first."
    VersionMismatch 412 "version-mismatch" "Version mismatch"
        "`If-Match` names another version than the present one: somebody else changed it meanwhile. Read it again and decide anew."
    BodyTooLarge 413 "body-too-large" "Body too large"
        "The body is larger than this service takes."
    UnsupportedMediaType 415 "unsupported-media-type" "Unsupported media type"
        "The body must be `application/json` (for PATCH also `application/merge-patch+json`), without a content encoding."
    ExpectationFailed 417 "expectation-failed" "Expectation failed"
        "`Expect` asks for something else than `100-continue`. Nothing was changed; send the request without it."
    MisdirectedRequest 421 "misdirected-request" "Host not in GALLEY_ALLOWED_HOSTS"
        "The request names a host that is not this service's: a foreign page may have made its name lead here. Nothing was changed."
    ValidationFailed 422 "validation-failed" "Validation failed"
        "The JSON is well-formed, but fields are missing, unknown, of a wrong type or out of bounds. `errors` names each. Nothing was changed."
    IdempotencyKeyReused 422 "idempotency-key-reused" "Idempotency key reused"
        "An earlier request came with the same key and another body. Use a new key for a new request."
    UpgradeRequired 426 "upgrade-required" "Upgrade required"
        "This path speaks WebSocket; come with `Upgrade: websocket`."
    TooManySockets 429 "too-many-sockets" "Too many sockets"
        "This hero or address holds as many sockets as it may. Close one, or come back later."
    TooManyOpenOrders 429 "too-many-open-orders" "Too many open orders"
        "This hero has as many orders that have not ended as it may. This request placed nothing; wait until some have ended, or cancel some."
    HeadTooLarge 431 "head-too-large" "Head too large"
        "The request line and the headers are larger, or the headers are more, than this service takes. The connection is closed."
    RateLimited 429 "rate-limited" "Rate limited"
        "More came in a short time, or at once, than this caller may send. Nothing was changed; send it again after `retry_after_ms`, which `Retry-After` gives in seconds."
    Internal 500 "internal" "Internal error"
        "Something went wrong that should not have; it was logged under the request id. Repeat a placement only with the same idempotency key."
    Overloaded 503 "overloaded" "Overloaded"
        "More requests wait than can be served soon. Nothing was changed; try again after `Retry-After`."
    Unavailable 503 "unavailable" "Unavailable"
        "Something that this service depends on is away. The request may have been carried out or not: repeat a placement with the same idempotency key, and read before repeating anything else."
    Draining 503 "draining" "Draining"
        "This instance is about to leave. Nothing was changed; try another, or the same after `Retry-After`."
}

impl Problem {
    /// Creates a problem. Its detail is the title, until [`Problem::with_detail`] replaces it.
    #[must_use]
    pub fn new(kind: ProblemType) -> Self {
        Self {
            kind,
            title: kind.title(),
            status: kind.status(),
            detail: kind.title().to_owned(),
            errors: Vec::new(),
            order: None,
            retry_after_ms: None,
            instance: None,
            trace_id: None,
        }
    }

    /// Sets the detail: what went wrong this time.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds the wrong fields, and names the first in the detail.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        if let [first, rest @ ..] = errors.as_slice() {
            let more =
                if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            self.detail = format!("{} {}{more}", first.pointer, first.detail);
        }
        self.errors = errors;
        self
    }

    /// Creates the problem of one wrong parameter.
    #[must_use]
    pub fn invalid_parameter(pointer: impl Into<String>, detail: &impl ToString) -> Self {
        Self::new(ProblemType::InvalidParameter)
            .with_errors(vec![FieldError { pointer: pointer.into(), detail: detail.to_string() }])
    }

    /// Adds the current state of the order.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = Some(Box::new(order));
        self
    }

    /// Adds the request that met the problem.
    #[must_use]
    pub fn with_instance(mut self, request_id: &str) -> Self {
        self.instance = Some(format!("/requests/{request_id}").into());
        self
    }

    /// Adds the trace of the request or command.
    #[must_use]
    pub fn with_trace(mut self, trace: Option<TraceContext>) -> Self {
        self.trace_id = trace.map(|trace| Box::new(trace.trace_id));
        self
    }

    /// Adds the time in milliseconds after which to try again.
    #[must_use]
    pub fn with_retry_after(mut self, millis: u64) -> Self {
        self.retry_after_ms = Some(millis);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldError, Problem, ProblemType};

    #[test]
    fn slugs_are_unique() {
        let mut slugs: Vec<&str> = ProblemType::ALL.iter().map(|kind| kind.slug()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), ProblemType::ALL.len());
    }

    #[test]
    fn a_problem_looks_like_rfc_9457() {
        let problem = Problem::new(ProblemType::ValidationFailed).with_errors(vec![FieldError {
            pointer: "#/name".to_owned(),
            detail: "is required".to_owned(),
        }]);
        assert_eq!(
            serde_json::to_string(&problem).expect("JSON"),
            r##"{"type":"/problems/validation-failed","title":"Validation failed","status":422,"detail":"#/name is required","errors":[{"pointer":"#/name","detail":"is required"}]}"##
        );
    }
}
