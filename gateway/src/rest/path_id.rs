//! The id in a path.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use galley_protocol::Problem;
use galley_protocol::id::IdError;

use crate::web::Refusal;

/// The `{id}` of a path.
pub struct Id<T>(pub T);

impl<S, T> FromRequestParts<S> for Id<T>
where
    S: Send + Sync,
    T: FromStr<Err = IdError>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.map_err(|_| IdError).and_then(|Path(text)| text.parse());
        id.map(Self).map_err(|error| Problem::invalid_parameter("/{id}", error).into())
    }
}
