//! What a page needs to know to sign people in, and who its caller is.

use axum::Json;
use axum::extract::State;
use galley_protocol::{HeroId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::problems::OfListing;
use crate::auth::{ProviderEndpoints, SignInClient, WantedTokens};
use crate::state::AppState;
use crate::web::query::Params;
use crate::web::{Caller, Refusal};

/// How callers of this gateway sign in.
#[derive(Serialize, ToSchema)]
pub struct SignInReport {
    /// The tokens that are taken; absent if none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tokens: Option<WantedTokens>,
    /// The identity provider where the dashboard signs people in; absent if there is none, so that
    /// a token is pasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    provider: Option<SignInClient>,
    /// The endpoints of that provider; absent as long as it could not be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    endpoints: Option<ProviderEndpoints>,
}

/// The role of a caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallerRole {
    /// One hero, which sees its own orders and the menu.
    Hero,
    /// Staff, which may do everything.
    Staff,
    /// Anybody, because no token is needed. It may do everything.
    Anybody,
}

/// The caller of a request.
#[derive(Serialize, ToSchema)]
pub struct CallerReport {
    /// The role.
    role: CallerRole,
    /// The hero, if the caller is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    hero_id: Option<HeroId>,
    /// The `sub` of the token of a member of staff, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "ada")]
    subject: Option<String>,
    /// The end of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires: Option<Timestamp>,
}

/// How to sign in
///
/// The dashboard reads this before it asks for anything. It needs no token.
#[utoipa::path(
    get, path = "/sign-in", tag = "operation", operation_id = "get_sign_in",
    responses((status = 200, description = "How callers sign in.", body = SignInReport), OfListing),
)]
pub async fn how(
    State(state): State<AppState>,
    _: Params<()>,
) -> Result<Json<SignInReport>, Refusal> {
    Ok(Json(SignInReport {
        tokens: state.verifier.as_ref().map(crate::auth::Verifier::wanted),
        provider: state.provider.as_ref().map(|provider| provider.client()),
        endpoints: state.provider.as_ref().and_then(|provider| provider.endpoints()),
    }))
}

/// Who calls
///
/// The role that the gateway reads from the token, its hero or its `sub`, and its end.
#[utoipa::path(
    get, path = "/me", tag = "operation", operation_id = "get_caller",
    responses((status = 200, description = "The caller.", body = CallerReport), OfListing),
)]
pub async fn who(
    State(state): State<AppState>,
    caller: Caller,
    _: Params<()>,
) -> Result<Json<CallerReport>, Refusal> {
    let claims = caller.claims();
    let hero_id = caller.hero_id();
    let role = match (claims, hero_id) {
        (None, _) => CallerRole::Anybody,
        (Some(_), Some(_)) => CallerRole::Hero,
        (Some(_), None) => CallerRole::Staff,
    };
    let staff = claims.filter(|_| hero_id.is_none());
    let subject = state.verifier.as_ref().zip(staff);
    let subject = subject.and_then(|(verifier, claims)| verifier.subject_of_staff(claims.subject));
    let expires = claims.and_then(|claims| {
        let millis = i64::try_from(claims.expires.saturating_mul(1_000)).ok()?;
        Timestamp::from_millis(millis).ok()
    });
    Ok(Json(CallerReport { role, hero_id, subject: subject.map(|name| name.to_string()), expires }))
}
