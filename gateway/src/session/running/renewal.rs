//! The tokens that a client sends in `auth` frames: the first one, and those that replace it before
//! it expires.

use galley_protocol::close_code::CloseCode;
use galley_protocol::frame::{CommandId, Reply, ServerFrame};
use galley_protocol::jwt::Who;
use galley_protocol::{BearerToken, Problem, ProblemType, Sentence, Timestamp};

use crate::auth::{Claims, TokenRejection};
use crate::state::AppState;
use crate::web::guard::unauthorized;

/// Reads a token that replaces an earlier one of the same caller. The error has a close code if
/// the socket must be closed for it.
pub async fn renew(
    state: &AppState,
    who: Option<Who>,
    token: &BearerToken,
) -> Result<Claims, (Problem, Option<CloseCode>)> {
    let Some(who) = who else {
        return Err((
            Problem::new(ProblemType::Forbidden).with_detail(Sentence::NoTokenAsked),
            None,
        ));
    };
    let claims = verify(state, token).await.map_err(|problem| {
        // A token that cannot be checked now leaves the earlier one in force.
        let is_wrong = problem.kind == ProblemType::Unauthorized;
        (problem, is_wrong.then_some(CloseCode::TokenExpired))
    })?;
    if claims.who != who {
        let problem = Problem::new(ProblemType::Forbidden).with_detail(Sentence::TokenOfOther);
        return Err((problem, Some(CloseCode::Forbidden)));
    }
    Ok(claims)
}

/// Returns the answer to `auth`.
pub fn authenticated(id: Option<CommandId>, claims: Claims) -> String {
    let millis = i64::try_from(claims.expires.saturating_mul(1_000)).ok();
    let expires_at = millis
        .and_then(|millis| Timestamp::from_millis(millis).ok())
        .expect("an expiry lies before the year 10000");
    ServerFrame::Reply { id, reply: Reply::Authenticated { authenticated: true, expires_at } }
        .encode()
}

pub async fn verify(state: &AppState, token: &BearerToken) -> Result<Claims, Problem> {
    let claims = match &state.verifier {
        Some(verifier) => verifier.verify(token.reveal()).await,
        None => Err(TokenRejection::Signature),
    };
    claims.map_err(|refused| unauthorized(state, Some(refused)))
}
