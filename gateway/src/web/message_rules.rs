//! The rules of HTTP that hold for every message, around all routes: what a request must be
//! (RFC 9112), what it may expect, and the coding of the answer.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use galley_protocol::{Problem, ProblemType, Sentence};

use super::Refusal;
use super::content_coding::{AcceptedCoding, CodedOnce, encode};
use super::held_answer::hold;
use crate::http::AmbiguousLength;
use crate::http::entrance::Outside;
use crate::http::host::Host;
use crate::limits::Address;
use crate::state::AppState;

pub async fn apply(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let accepted = AcceptedCoding::read(request.headers());
    let address = request.extensions().get::<Outside>().map(|outside| outside.address);
    let address = Address::from(address.expect("each request passed the entrance"));
    let response = match refuse(&request) {
        Some(problem) => {
            let closes = problem.kind == ProblemType::BadRequest;
            let mut response = Refusal(problem).into_response();
            if closes {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            response
        }
        None => next.run(request).await,
    };
    let is_shared = response.extensions().get::<CodedOnce>().is_some();
    if is_shared {
        return encode(accepted, response).await;
    }
    let coded = encode(accepted, hold(&state, address, response).await).await;
    // A short one was coded at once, and its plain text is gone.
    let is_coded = coded.headers().contains_key(header::CONTENT_ENCODING);
    if is_coded { hold(&state, address, coded).await } else { coded }
}

fn refuse(request: &Request) -> Option<Problem> {
    let headers = request.headers();
    let bad = |detail| Some(Problem::new(ProblemType::BadRequest).with_detail(detail));
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => {}
        (Some(host), None) if host.to_str().ok().and_then(Host::parse).is_some() => {}
        (_, _) => return bad(Sentence::HostHeader),
    }
    // One who reads the length otherwise would see another request here (RFC 9112 section 11.2).
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked =
        codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !chunked || codings.next().is_some() {
        return bad(Sentence::TransferCoding);
    }
    if request.extensions().get::<AmbiguousLength>().is_some() {
        return bad(Sentence::AmbiguousLength);
    }
    let mut expected = headers.get_all(header::EXPECT).iter();
    let known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if request.version() >= Version::HTTP_11 && !expected.all(known) {
        return Some(Problem::new(ProblemType::ExpectationFailed));
    }
    None
}
