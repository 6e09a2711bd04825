//! The opening handshake (RFC 6455 section 4.2): everything that can be refused is refused before the upgrade, with a
//! problem.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use galley_protocol::{HeroId, Problem, ProblemType, ResumeCursor};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode, Uri, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::entrance::enter;
use super::run;
use super::socket::Socket;
use crate::http::Refusal;
use crate::limits::Address;
use crate::rest::params::Pairs;
use crate::state::AppState;

/// The sub-protocol of this service.
const SUBPROTOCOL: &str = "galley.v1";

/// `GET /ws`.
pub async fn open(State(state): State<AppState>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    match begin(state, Address::from(peer.ip()), request).await {
        Ok(response) => response,
        Err(problem) => {
            let upgrade = problem.kind == ProblemType::UpgradeRequired || problem.kind == ProblemType::BadHandshake;
            let mut response = Refusal(problem).into_response();
            if upgrade {
                response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            response
        }
    }
}

async fn begin(state: AppState, address: Address, mut request: Request) -> Result<Response, Problem> {
    if request.version() < Version::HTTP_11 {
        return Err(Problem::new(ProblemType::BadHandshake).with_detail("the request must be in HTTP/1.1"));
    }
    let key = websocket_key(request.method(), request.headers())?;
    check_origin(request.uri(), request.headers(), &state.config.allowed_origins)?;
    let subprotocol = offers(request.headers(), SUBPROTOCOL);
    let mut pairs = Pairs::decode(request.uri().query().unwrap_or_default());
    let hero_id = pairs.one("hero_id", str::parse::<HeroId>);
    let since = pairs.one("cursor", str::parse::<ResumeCursor>);
    pairs.finish(|| Some(()))?;
    let entered = enter(&state, address, hero_id, since).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    let max_message = state.config.max_message;
    let sockets = state.sockets.clone();
    sockets.spawn(async move {
        // The peer may go away before it has read the 101.
        if let Ok(upgraded) = upgrade.await {
            let socket = Socket::new(upgraded, max_message, Arc::clone(entered.place.outbox())).await;
            run(state, entered, socket).await;
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

/// Checks the handshake and gives the client's key.
pub fn websocket_key(method: &Method, headers: &HeaderMap) -> Result<Vec<u8>, Problem> {
    if method != Method::GET || !has_token(headers, &header::UPGRADE, "websocket") {
        return Err(Problem::new(ProblemType::UpgradeRequired));
    }
    let bad = |detail: &str| Problem::new(ProblemType::BadHandshake).with_detail(detail);
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(bad("the Connection header must name `upgrade`"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(b"13") {
        return Err(bad("Sec-WebSocket-Version must be 13"));
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_nonce(key.as_bytes()) => Ok(key.as_bytes().to_vec()),
        _ => Err(bad("Sec-WebSocket-Key must be one base64 value of 16 bytes")),
    }
}

/// 16 bytes in base64 are 22 characters of its alphabet and two `=`.
fn is_nonce(key: &[u8]) -> bool {
    let alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key[..22].iter().all(alphabet) && key[22..] == *b"=="
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn offers(headers: &HeaderMap, subprotocol: &str) -> bool {
    tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == subprotocol)
}

/// Browsers always send the origin of the page; a page of another origin must be named in the settings (CWE-1385).
fn check_origin(uri: &Uri, headers: &HeaderMap, allowed: &[String]) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(Authority::as_str));
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let same = host.is_some() && authority == host;
    if same || allowed.iter().any(|allowed| allowed == origin) {
        return Ok(());
    }
    Err(Problem::new(ProblemType::Forbidden).with_detail("pages of this origin may not open a socket here"))
}

#[cfg(test)]
mod tests {
    use super::{check_origin, is_nonce, websocket_key};
    use hyper::header::{HeaderMap, HeaderName, HeaderValue};
    use hyper::{Method, Uri};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
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
            let status = websocket_key(&Method::GET, &headers(&part)).expect_err("a part is missing").status;
            assert_eq!(status, if missing == 0 { 426 } else { 400 }, "without {}", good[missing].0);
        }
        assert!(!is_nonce(b"too short=="));
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let uri = Uri::from_static("/ws");
        let allowed = ["https://app.example:8443".to_owned()];
        let check = |origin| check_origin(&uri, &headers(&[("host", "127.0.0.1:8080"), ("origin", origin)]), &allowed).is_ok();
        assert!(check("http://127.0.0.1:8080"));
        assert!(check("https://app.example:8443"));
        for evil in [
            "null",
            "http://evil.example",
            "http://127.0.0.1:8081",
            "http://127.0.0.1:8080.evil.example",
            "https://app.example",
            "",
        ] {
            assert!(!check(evil), "{evil:?}");
        }
        assert!(check_origin(&uri, &headers(&[("host", "127.0.0.1:8080")]), &[]).is_ok(), "only browsers send an origin");
        assert!(check_origin(&uri, &headers(&[("origin", "http://127.0.0.1:8080")]), &[]).is_err());
    }
}
