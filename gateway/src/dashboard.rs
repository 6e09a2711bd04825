//! The files of the dashboard, embedded in the program.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use axum::routing::get;
use galley_protocol::{Problem, ProblemType};
use rust_embed::RustEmbed;

use crate::state::AppState;
use crate::web::Refusal;
use crate::web::conditions::IfNoneMatch;
use crate::web::static_file::{Freshness, StaticFile, StaticFiles};

/// The content security policy of the page: nothing is loaded from other origins. Only with an
/// identity provider the page asks another one, for tokens.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// The characters of a hash in the name of a file.
const HASH: usize = 8;

#[derive(RustEmbed)]
#[folder = "../clients/dashboard/dist"]
struct Files;

pub fn router() -> Router<AppState> {
    let serve = get(async |State(state): State<AppState>, uri: Uri, known: IfNoneMatch| {
        serve(uri.path(), &known, policy(&state))
    });
    Router::new().route("/", serve.clone()).route("/assets/{*path}", serve)
}

fn serve(path: &str, known: &IfNoneMatch, policy: HeaderValue) -> Result<Response, Refusal> {
    static SERVED: LazyLock<StaticFiles> = LazyLock::new(StaticFiles::default);
    let path = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
    let found = Files::get(path).ok_or_else(|| Problem::new(ProblemType::NotFound))?;
    // A debug build reads the file from the disk, where it may change.
    let name = format!("{path} {:x?}", found.metadata.sha256_hash());
    let freshness = if is_hashed(path) { Freshness::Immutable } else { Freshness::Asked };
    let kind = HeaderValue::from_static(media_type(path));
    let load = || Ok::<_, Problem>(StaticFile::new(found.data, kind, freshness));
    let mut response = SERVED.get(&name, load)?.answer(known);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

fn policy(state: &AppState) -> HeaderValue {
    let provider = state.provider.as_ref();
    let policy =
        provider.map(|provider| format!("{POLICY}; connect-src 'self' {}", provider.origin()));
    let policy = policy.and_then(|policy| HeaderValue::try_from(policy).ok());
    policy.unwrap_or(HeaderValue::from_static(POLICY))
}

/// Returns true for a name with a hash of the content, as Vite gives it: `index-BMfUMfGA.css`.
fn is_hashed(path: &str) -> bool {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem).as_bytes();
    let at = stem.len().checked_sub(HASH + 1);
    at.is_some_and(|at| path.starts_with("assets/") && stem[at] == b'-')
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
