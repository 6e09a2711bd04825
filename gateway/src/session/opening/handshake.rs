//! The opening handshake (RFC 6455 section 4.2): everything that can be refused is refused before
//! the upgrade, with a problem.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use galley_protocol::{HeroId, Problem, ProblemType, Sentence};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::admission::{enter, outbox, seat};
use super::arrival::Arrival;
use super::authentication::{TokenShown, shown};
use crate::auth::stream_tickets::TICKET;
use crate::http::entrance::Outside;
use crate::http::header_list::tokens;
use crate::limits::Address;
use crate::session::wire::socket::Socket;
use crate::state::AppState;
use crate::web::guard::unauthorized;
use crate::web::query::Pairs;
use crate::web::spoken::LANG;
use crate::web::{Refusal, named_trace};

const SUBPROTOCOL: &str = "galley.v1";

/// Handles `GET /ws`.
pub async fn open(
    State(state): State<AppState>,
    Extension(Outside { address, .. }): Extension<Outside>,
    request: Request,
) -> Response {
    match begin(state, Address::from(address), request).await {
        Ok(response) => response,
        Err(problem) => {
            let upgrade = problem.kind == ProblemType::UpgradeRequired
                || problem.kind == ProblemType::BadHandshake;
            let mut response = Refusal(problem).into_response();
            if upgrade {
                response
                    .headers_mut()
                    .insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                response
                    .headers_mut()
                    .insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            response
        }
    }
}

async fn begin(
    state: AppState,
    address: Address,
    mut request: Request,
) -> Result<Response, Problem> {
    if request.version() < Version::HTTP_11 {
        return Err(Problem::new(ProblemType::BadHandshake).with_detail(Sentence::HttpVersion));
    }
    let key = websocket_key(request.method(), request.headers())?;
    let subprotocol = offers(request.headers(), SUBPROTOCOL);
    let mut pairs = Pairs::decode(request.uri().query().unwrap_or_default());
    let hero_id = pairs.one("hero_id", str::parse::<HeroId>);
    let cursor = pairs.one("cursor", str::parse::<String>);
    let ticket = pairs.one(TICKET, str::parse::<String>);
    // It was read with the header.
    let _ = pairs.one(LANG, str::parse::<String>);
    pairs.finish(|| Some(()))?;
    let seat = seat(&state, address)?;
    let since = state.commands.read_cursor(cursor).await;
    let outbox = outbox(&state);
    let visit = match shown(&state, address, request.headers(), ticket.as_deref()).await? {
        TokenShown::Caller(caller) => Arrival::Entered(Box::new(
            enter(&state, seat, caller, hero_id, since, Arc::clone(&outbox)).await?,
        )),
        TokenShown::Nothing(place) => {
            // A socket without a token must not keep a seat from those that have one.
            drop(seat);
            Arrival::Unproven { address, hero_id, since, outbox: Arc::clone(&outbox), place }
        }
        TokenShown::Bad(refused, place) => {
            Arrival::Refused(unauthorized(&state, Some(refused)), place)
        }
    };
    let named = named_trace(request.headers()).map(Box::new);
    let upgrade = hyper::upgrade::on(&mut request);
    let max_message = state.config.max_message;
    let sockets = state.sockets.clone();
    // Boxed, so that the task of the socket is small again after the opening.
    let begun = Box::pin(async move {
        // The peer may disconnect before it has read the 101.
        let upgraded = upgrade.await.ok()?;
        let socket = Socket::new(upgraded, max_message, outbox);
        visit.receive(state, socket).await
    });
    sockets.spawn(async move {
        if let Some(mut connection) = begun.await {
            connection.follow(named);
            connection.run().await;
        }
    });
    Ok(switching(&key, subprotocol))
}

pub fn switching(key: &[u8], subprotocol: bool) -> Response {
    let accept = HeaderValue::try_from(derive_accept_key(key)).expect("base64 is a header value");
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    response
}

/// Returns the client's key.
pub fn websocket_key(method: &Method, headers: &HeaderMap) -> Result<Vec<u8>, Problem> {
    if method != Method::GET || !has_token(headers, &header::UPGRADE, "websocket") {
        return Err(Problem::new(ProblemType::UpgradeRequired));
    }
    let bad = |detail| Problem::new(ProblemType::BadHandshake).with_detail(detail);
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(bad(Sentence::ConnectionHeader));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(b"13") {
        return Err(bad(Sentence::WebSocketVersion));
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_nonce(key.as_bytes()) => Ok(key.as_bytes().to_vec()),
        _ => Err(bad(Sentence::WebSocketKey)),
    }
}

/// Returns true if the key is 16 bytes in base64: 22 characters of its alphabet and two `=`.
fn is_nonce(key: &[u8]) -> bool {
    let alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key[..22].iter().all(alphabet) && key[22..] == *b"=="
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn offers(headers: &HeaderMap, subprotocol: &str) -> bool {
    tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == subprotocol)
}

#[cfg(test)]
mod tests {
    use super::{is_nonce, websocket_key};
    use hyper::Method;
    use hyper::header::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_a_whole_handshake_is_taken() {
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert!(websocket_key(&Method::GET, &headers(&good)).is_ok());
        assert_eq!(websocket_key(&Method::POST, &headers(&good)).expect_err("no GET").status, 426);
        for missing in 0..good.len() {
            let mut part = good.to_vec();
            part.remove(missing);
            let status =
                websocket_key(&Method::GET, &headers(&part)).expect_err("a part is missing").status;
            assert_eq!(status, if missing == 0 { 426 } else { 400 }, "without {}", good[missing].0);
        }
        assert!(!is_nonce(b"too short=="));
    }
}
