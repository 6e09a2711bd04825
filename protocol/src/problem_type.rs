//! The one table of problem types (RFC 9457), used by REST and in `error` frames alike. Their titles
//! and explanations are in `languages/`.

use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

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
    ($($name:ident $status:literal $slug:literal)*) => {
        /// The type of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemType {
            $(#[doc = concat!("`", $slug, "`")] $name,)*
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
        }
    };
}

problem_types! {
    BadRequest 400 "bad-request"
    MalformedJson 400 "malformed-json"
    InvalidParameter 400 "invalid-parameter"
    UnknownCommand 400 "unknown-command"
    BadHandshake 400 "bad-handshake"
    Unauthorized 401 "unauthorized"
    Forbidden 403 "forbidden"
    NotFound 404 "not-found"
    HeroNotFound 404 "hero-not-found"
    MealNotFound 404 "meal-not-found"
    OrderNotFound 404 "order-not-found"
    MethodNotAllowed 405 "method-not-allowed"
    RequestTimeout 408 "request-timeout"
    HasActiveOrders 409 "has-active-orders"
    AlreadyFinished 409 "already-finished"
    NotFinished 409 "not-finished"
    VersionMismatch 412 "version-mismatch"
    BodyTooLarge 413 "body-too-large"
    UnsupportedMediaType 415 "unsupported-media-type"
    ExpectationFailed 417 "expectation-failed"
    MisdirectedRequest 421 "misdirected-request"
    ValidationFailed 422 "validation-failed"
    IdempotencyKeyReused 422 "idempotency-key-reused"
    UpgradeRequired 426 "upgrade-required"
    TooManySockets 429 "too-many-sockets"
    TooManyOpenOrders 429 "too-many-open-orders"
    HeadTooLarge 431 "head-too-large"
    RateLimited 429 "rate-limited"
    Internal 500 "internal"
    Overloaded 503 "overloaded"
    Unavailable 503 "unavailable"
    Draining 503 "draining"
}

#[cfg(test)]
mod tests {
    use super::ProblemType;

    #[test]
    fn slugs_are_unique() {
        let mut slugs: Vec<&str> = ProblemType::ALL.iter().map(|kind| kind.slug()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), ProblemType::ALL.len());
    }
}
