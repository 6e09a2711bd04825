//! Orders: cancelling and deleting them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use galley_protocol::fields::Fields;
use galley_protocol::strict::Strict;
use galley_protocol::{
    CancelOrder, DeleteOrder, OfHero, Order, OrderId, Problem, ProblemType, ReasonText, Sentence,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{FromJson, JsonBody};
use super::path_id::Id;
use super::problems::{OfCancelling, OfEnding};
use crate::state::AppState;
use crate::web::Caller;
use crate::web::Refusal;
use crate::web::conditions::IfMatch;
use crate::web::query::{FromPairs, Pairs, Params};
use crate::web::request_identity::trace;
use crate::web::spoken::Spoken;

/// Why an order is to be cancelled.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// In a person's words; becomes the order's `message`.
    #[schema(nullable = false)]
    reason: Option<ReasonText>,
}

impl FromJson for Why {
    fn from_json(body: Strict) -> Result<Self, Problem> {
        let mut fields = Fields::new(body)?;
        let reason = fields.text("reason", ReasonText::parse);
        fields.finish(|| Some(Self { reason }))
    }
}

impl FromPairs for Why {
    fn from_pairs(mut pairs: Pairs) -> Result<Self, Problem> {
        let reason = pairs.one("reason", ReasonText::parse);
        pairs.finish(|| Some(Self { reason }))
    }
}

/// Cancel an order
///
/// An order that is CANCELLED by this is never COMPLETED afterwards.
#[utoipa::path(
    post, path = "/orders/{id}/cancel", tag = "orders", operation_id = "cancel_order",
    params(
        ("id" = OrderId, Path, description = "Its identifier."),
        ("If-Match" = Option<String>, Header, description = "Only when it has this version: `\"2\"`, or the `ETag` of the order as it was read."),
    ),
    request_body(content = Option<Why>, example = json!({"reason": "changed my mind"})),
    responses((status = 200, description = "The order, CANCELLED.", body = Order), OfCancelling),
)]
pub async fn cancel(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id<OrderId>,
    _: Params<()>,
    guard: IfMatch,
    why: Option<JsonBody<Why>>,
) -> Result<Spoken<Order>, Refusal> {
    let reason = why.and_then(|JsonBody(why)| why.reason);
    Ok(Spoken(try_cancel(&state, caller, id, &guard.of_order(), reason).await?))
}

/// Cancel or delete an order
///
/// An order that is `PENDING` or `IN_PROGRESS` is cancelled (200), one that has ended is deleted
/// (204). `If-Match` guards against an end that came meanwhile.
#[utoipa::path(
    delete, path = "/orders/{id}", tag = "orders", operation_id = "cancel_or_delete_order",
    params(
        ("id" = OrderId, Path, description = "Its identifier."),
        ("If-Match" = Option<String>, Header, description = "Only when it has this version: `\"2\"`, or the `ETag` of the order as it was read."),
        ("reason" = Option<ReasonText>, Query,
            description = "In a person's words; becomes the order's `message`. Here or in the body, not both."),
    ),
    request_body(content = Option<Why>, example = json!({"reason": "changed my mind"})),
    responses(
        (status = 200, description = "It was active: the order, CANCELLED.", body = Order),
        (status = 204, description = "It had ended: it is gone."),
        OfEnding,
    ),
)]
pub async fn end(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id<OrderId>,
    Params(params): Params<Why>,
    guard: IfMatch,
    why: Option<JsonBody<Why>>,
) -> Result<Response, Refusal> {
    let reason = match (params.reason, why.and_then(|JsonBody(why)| why.reason)) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid_parameter("?reason", Sentence::TwoReasons).into());
        }
        (one, other) => one.or(other),
    };
    let guard = guard.of_order();
    match try_cancel(&state, caller, id, &guard, reason).await {
        Ok(order) => Ok(Spoken(order).into_response()),
        // An end is final: only another deletion can happen in between.
        Err(problem) if problem.kind == ProblemType::AlreadyFinished => {
            let hero_id = caller.hero_id();
            let attempt = |expected| {
                let command = DeleteOrder { order_id: id, expected };
                state.commands.delete(OfHero { hero_id, command }, trace())
            };
            guard.guard(is_stale, attempt).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn try_cancel(
    state: &AppState,
    caller: Caller,
    id: OrderId,
    guard: &IfMatch,
    reason: Option<ReasonText>,
) -> Result<Order, Problem> {
    let hero_id = caller.hero_id();
    let attempt = |expected| {
        let command = CancelOrder { order_id: id, reason: reason.clone(), expected };
        state.commands.cancel(OfHero { hero_id, command }, trace())
    };
    guard.guard(is_stale, attempt).await
}

fn is_stale(problem: &Problem) -> bool {
    problem.kind == ProblemType::VersionMismatch
}
