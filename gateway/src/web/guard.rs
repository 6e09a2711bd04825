//! The check of tokens before the routes of a gateway with authentication.
//!
//! Routes are guarded in groups, where they are listed: a new route in a group cannot miss its
//! guard. Without authentication there is no guard at all.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use galley_protocol::{Problem, ProblemType, Sentence};
use tracing::info;
use utoipa_axum::router::OpenApiRouter;

use super::query::Pairs;
use super::{Caller, Refusal};
use crate::auth::stream_tickets::{TICKET, TicketError, redeem};
use crate::auth::{RememberedToken, TokenRejection, Verifier};
use crate::limits::CallerKey;
use crate::refusals::Cause;
use crate::state::AppState;
use crate::store_problems;

/// The challenge for a valid token that does not allow the request (RFC 6750 section 3.1).
const INSUFFICIENT_SCOPE: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"galley\", error=\"insufficient_scope\"");

/// Wait before a token is checked again after the keys could not be read, in milliseconds.
const RETRY_AFTER_MS: u64 = 5_000;

/// Guards routes for any caller with a valid token. Handlers can extract the [`Caller`].
pub fn members(state: &AppState, routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    if state.verifier.is_none() {
        routes
    } else {
        // With `route_layer` an unknown path is a 404, with or without a token.
        routes.route_layer(from_fn_with_state(state.clone(), ask))
    }
}

/// Guards routes for staff.
pub fn staff(state: &AppState, routes: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    if state.verifier.is_none() {
        routes
    } else {
        routes.route_layer(from_fn_with_state(state.clone(), ask_for_staff))
    }
}

/// Returns the token of a request, if it has one. Only `Authorization: Bearer` is read (RFC 6750
/// section 2.1). The password of a proxy in front, `Authorization: Basic`, is not meant for us.
///
/// # Errors
/// [`TokenRejection::Signature`] if the header is repeated, or holds anything else.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, TokenRejection> {
    let lines = headers.get_all(header::AUTHORIZATION).iter();
    let mut lines = lines.filter(|line| after_scheme(line, "basic").is_none());
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => {
            after_scheme(line, "bearer").map(Some).ok_or(TokenRejection::Signature)
        }
        (Some(_), Some(_)) => Err(TokenRejection::Signature),
    }
}

fn after_scheme<'a>(line: &'a HeaderValue, scheme: &str) -> Option<&'a str> {
    let (found, rest) = line.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// Returns the problem of a missing or refused token, and counts it: `unauthorized`, or `overloaded`
/// if the keys of the identity provider cannot be read.
pub fn unauthorized(state: &AppState, refused: Option<TokenRejection>) -> Problem {
    state.refusals.count(refused.map_or(Cause::NoToken, Cause::Token));
    let Some(refused) = refused else {
        return Problem::new(ProblemType::Unauthorized).with_detail(Sentence::SendToken);
    };
    if refused == TokenRejection::UnknownKey {
        let problem = Problem::new(ProblemType::Overloaded).with_retry_after(RETRY_AFTER_MS);
        return problem.with_detail(refused.sentence());
    }
    let wanted = state.verifier.as_ref().filter(|_| refused.is_about_kind());
    Problem::new(ProblemType::Unauthorized).with_detail(match wanted {
        Some(verifier) => {
            Sentence::TokenWanted(Box::new(refused.sentence()), verifier.wanted().to_string())
        }
        None => refused.sentence(),
    })
}

async fn ask(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let caller =
        identify(&state, request.headers(), request.extensions().get(), ticket(&request)).await;
    let caller = caller.and_then(|caller| charge(&state, caller, request.method()));
    admit(&state, caller, request, next).await
}

async fn ask_for_staff(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let caller = identify(&state, request.headers(), request.extensions().get(), ticket(&request))
        .await
        .and_then(|caller| {
            if caller.is_staff() {
                return Ok(caller);
            }
            state.refusals.count(Cause::NotStaff);
            Err(Problem::new(ProblemType::Forbidden).with_detail(Sentence::OnlyStaff))
        });
    admit(&state, caller, request, next).await
}

/// Charges a request of a hero that changes something as a command, like a frame on its sockets.
fn charge(state: &AppState, caller: Caller, method: &Method) -> Result<Caller, Problem> {
    match caller.token_key() {
        Some(hero @ CallerKey::Hero(_)) if !method.is_safe() => {
            state.limits.command(hero).map(|()| caller)
        }
        Some(_) | None => Ok(caller),
    }
}

async fn admit(
    state: &AppState,
    caller: Result<Caller, Problem>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            let changes = !request.method().is_safe();
            let mut response = next.run(request).await;
            if let Some(key) = caller.token_key() {
                if changes && response.status().is_success() {
                    // The span of the request says what was changed.
                    tell_of_staff(state, key, response.status().as_str());
                }
                // Long answers are counted for their caller.
                response.extensions_mut().insert(key);
            }
            response
        }
        Err(problem) => {
            let is_forbidden = problem.kind == ProblemType::Forbidden;
            let mut response = Refusal(problem).into_response();
            if is_forbidden {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, INSUFFICIENT_SCOPE);
            }
            response
        }
    }
}

/// Logs a change if a member of staff made it.
pub fn tell_of_staff(state: &AppState, key: CallerKey, change: &str) {
    if let (CallerKey::Staff(subject), Some(verifier)) = (key, &state.verifier) {
        info!(subject = &*verifier.name_of_staff(subject), change, "staff changed something");
    }
}

/// Returns the caller of a token, or of a ticket for an event stream.
async fn identify(
    state: &AppState,
    headers: &HeaderMap,
    connection: Option<&RememberedToken>,
    ticket: Option<String>,
) -> Result<Caller, Problem> {
    let Some(verifier) = &state.verifier else { return Ok(Caller::ANYBODY) };
    let claims = match bearer(headers) {
        Ok(Some(token)) => match connection {
            Some(connection) => verifier.verify_on(connection, token).await,
            None => verifier.verify(token).await,
        },
        Ok(None) => match ticket {
            Some(ticket) => return by_ticket(state, verifier, &ticket, headers).await,
            None => return Err(unauthorized(state, None)),
        },
        Err(refused) => Err(refused),
    };
    claims.map(Caller::from).map_err(|refused| unauthorized(state, Some(refused)))
}

/// Returns the caller of a ticket, which is worth nothing from now on.
///
/// # Errors
/// `unauthorized`, or a problem of the database.
async fn by_ticket(
    state: &AppState,
    verifier: &Verifier,
    ticket: &str,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    match redeem(verifier, &**state.commands.store(), ticket, headers).await {
        Ok(claims) => Ok(claims.into()),
        Err(TicketError::Refused(refused)) => Err(unauthorized(state, Some(refused))),
        Err(TicketError::Store(error)) => Err(store_problems::problem(&error)),
    }
}

/// Returns the ticket in the query of an event stream. No other route takes one.
fn ticket(request: &Request) -> Option<String> {
    let is_stream = request.method() == Method::GET && request.uri().path().ends_with("/events");
    let query = request.uri().query().filter(|_| is_stream)?;
    Pairs::decode(query).one(TICKET, str::parse::<String>)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{TokenRejection, bearer};

    #[test]
    fn a_token_is_a_bearer_s_and_stands_once() {
        let read = |lines: &[&'static str]| {
            let lines =
                lines.iter().map(|line| (header::AUTHORIZATION, HeaderValue::from_static(line)));
            let headers = lines.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
            bearer(&headers).map(|token| token.map(str::to_owned))
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["basic YTpi"]), Ok(None));
        assert_eq!(read(&["Basic YTpi", "Bearer a.b.c"]), Ok(Some("a.b.c".to_owned())));
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(read(&[good]), Ok(Some("a.b.c".to_owned())), "{good}");
        }
        for bad in [
            &["Digest YTpi"][..],
            &["a.b.c"],
            &[""],
            &["Bearer"],
            &["Bearer a.b.c", "Bearer a.b.c"],
        ] {
            assert_eq!(read(bad), Err(TokenRejection::Signature), "{bad:?}");
        }
    }
}
