//! Tickets.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use galley_store::TICKET_LIFE;
use serde::Serialize;
use utoipa::ToSchema;

use super::problems::OfIssuing;
use super::resource_handlers::HandlerResult;
use crate::auth::stream_tickets::{issue, new_text};
use crate::state::AppState;
use crate::web::Caller;
use crate::web::query::Params;

/// A ticket, which opens one socket or event stream.
#[derive(Serialize, ToSchema)]
struct IssuedTicket {
    /// The text for the parameter `ticket` of `/ws`, `/events` or `/heroes/{id}/events`.
    #[schema(example = "m3vXoBq8yJ0fQZP2mWl0c1tJ6XoT9i7uVdG4sYk5rEw")]
    ticket: String,
    /// The time within which it must be used, in milliseconds.
    #[schema(example = 30_000)]
    expires_in_ms: u64,
}

/// Ask for a ticket
///
/// It opens one socket or event stream for the caller of the token, where no header can be set: a
/// page says `new EventSource('/heroes/4/events?ticket=…')`, and asks for another ticket when the
/// stream has ended. It is good for 30 seconds and for the origin of the page that asked. Without
/// authentication it is needed nowhere.
#[utoipa::path(
    post, path = "/tickets", tag = "health", operation_id = "ask_for_ticket",
    responses((status = 201, description = "The ticket.", body = IssuedTicket), OfIssuing),
)]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    _: Params<()>,
    headers: HeaderMap,
) -> HandlerResult {
    let ticket = match (&state.verifier, caller.claims()) {
        (Some(verifier), Some(claims)) => {
            issue(verifier, &**state.commands.store(), claims, &headers).await?
        }
        // No stream needs it here. Pages need not know the difference.
        _ => new_text(),
    };
    let expires_in_ms = u64::try_from(TICKET_LIFE.as_millis()).unwrap_or(u64::MAX);
    Ok((StatusCode::CREATED, Json(IssuedTicket { ticket, expires_in_ms })).into_response())
}
