//! The documentation of this service: the `OpenAPI` document, the page to try it on, the page about
//! the live updates, the explanations of the problems.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderValue, header};
use axum::response::{Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use galley_bus::LogLimiter;
use galley_protocol::{Problem, ProblemType, Sentence, asyncapi};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::live_page;
use super::openapi_refinements::refine;
use super::problems::OfExplaining;
use crate::http::base_path::BasePath;
use crate::web::Refusal;
use crate::web::conditions::IfNoneMatch;
use crate::web::request_identity::language;
use crate::web::spoken::Spoken;
use crate::web::static_file::{Freshness, StaticFile, StaticFiles};

/// The content security policy of the page, which loads only its own files. Inline styles are
/// allowed because the page styles its elements, `data:` images because its style sheet contains
/// the icons.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// What a type of problem means.
#[derive(Serialize, ToSchema)]
pub struct ProblemMeaning {
    /// The path of this explanation, which is the `type` of such problems.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "/problems/already-finished")]
    kind: ProblemType,
    /// The type in a few words.
    #[schema(example = "Already finished")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// What it means and what to do about it.
    #[schema(example = "The order had ended before it could be cancelled. `order` shows how.")]
    explanation: &'static str,
}

/// Explain a type of problem
#[utoipa::path(
    get, path = "/problems/{slug}", tag = "problems", operation_id = "explain_problem",
    params(("slug" = String, Path, description = "The last part of the problem's `type`.", example = "already-finished")),
    responses((status = 200, description = "What it means.", body = ProblemMeaning), OfExplaining),
)]
pub async fn explain(
    slug: Result<Path<String>, PathRejection>,
) -> Result<Spoken<ProblemMeaning>, Refusal> {
    let known = |Path(slug): Path<String>| {
        ProblemType::ALL.iter().copied().find(|kind| kind.slug() == slug)
    };
    let kind = slug.ok().and_then(known).ok_or_else(|| not_found(Sentence::NoProblemType))?;
    let language = language();
    Ok(Spoken(ProblemMeaning {
        kind,
        title: language.title(kind),
        status: kind.status(),
        explanation: language.explanation(kind),
    }))
}

/// Describe the live updates
///
/// The `AsyncAPI` 3.0 document of the WebSocket and the Server-Sent Events: every frame with its
/// schema and examples, every close code with whether to come back.
#[utoipa::path(
    get, path = "/asyncapi.json", tag = "operation", operation_id = "describe_live_updates",
    responses((status = 200, description = "The document.", body = Object)),
)]
pub async fn describe(Extension(live): Extension<LiveDocument>, known: IfNoneMatch) -> Response {
    live.document.answer(&known)
}

/// The `AsyncAPI` document of a gateway, and the page that shows it.
#[derive(Clone)]
pub struct LiveDocument {
    document: StaticFile,
    page: StaticFile,
    policy: HeaderValue,
}

impl LiveDocument {
    pub fn of(base: &BasePath) -> Self {
        let mut document = asyncapi::document();
        let servers = document["servers"].as_object_mut().filter(|_| !base.as_str().is_empty());
        for server in servers.into_iter().flatten() {
            server.1["pathname"] = base.as_str().into();
        }
        let page = live_page::page(&document).into_bytes();
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        let policy = HeaderValue::try_from(live_page::policy()).expect("ASCII");
        let page = StaticFile::new(page.into(), kind, Freshness::Asked);
        Self { document: json(document.to_string()), page, policy }
    }

    fn show(self, known: &IfNoneMatch) -> Response {
        let mut response = self.page.answer(known);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.policy);
        response
    }
}

/// The routes `/openapi.json` and `/docs`. The pages load nothing from other hosts.
pub fn router<S: Clone + Send + Sync + 'static>(
    document: &OpenApi,
    live: LiveDocument,
) -> Router<S> {
    let mut document = serde_json::to_value(document).expect("the document has only string keys");
    refine(&mut document);
    let document = json(document.to_string());
    // The badge of the page would send the document to a public server to validate it.
    let config = Config::from("../openapi.json")
        .use_base_layout()
        .try_it_out_enabled(true)
        .validator_url("none");
    let page = DocsPage { config: Arc::new(config), files: StaticFiles::default() };
    Router::new()
        .route("/openapi.json", get(async move |known: IfNoneMatch| document.answer(&known)))
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(index))
        .route("/docs/live", get(async || Redirect::permanent("/docs/live/")))
        .route("/docs/live/", get(async move |known: IfNoneMatch| live.show(&known)))
        .route("/docs/{*file}", get(file))
        .layer(Extension(Arc::new(page)))
}

/// The page to try the service on.
struct DocsPage {
    config: Arc<Config<'static>>,
    files: StaticFiles,
}

async fn index(
    known: IfNoneMatch,
    Extension(page): Extension<Arc<DocsPage>>,
) -> Result<Response, Refusal> {
    page.show("index.html", &known)
}

async fn file(
    path: Result<Path<String>, PathRejection>,
    known: IfNoneMatch,
    Extension(page): Extension<Arc<DocsPage>>,
) -> Result<Response, Refusal> {
    let Path(path) = path.map_err(|_| not_found(Sentence::NoFile))?;
    page.show(&path, &known)
}

impl DocsPage {
    fn show(&self, path: &str, known: &IfNoneMatch) -> Result<Response, Refusal> {
        let mut response = self.files.get(path, || self.load(path))?.answer(known);
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        Ok(response)
    }

    fn load(&self, path: &str) -> Result<StaticFile, Problem> {
        let found = utoipa_swagger_ui::serve(path, Arc::clone(&self.config)).map_err(|error| {
            static LIMIT: LogLimiter = LogLimiter::new();
            if let Some(more) = LIMIT.now() {
                tracing::error!(%error, path, more, "cannot show the page of the documentation");
            }
            Problem::new(ProblemType::Internal)
        })?;
        let file = found.ok_or_else(|| not_found(Sentence::NoFile))?;
        let kind = HeaderValue::try_from(file.content_type)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        Ok(StaticFile::new(file.bytes, kind, Freshness::Asked))
    }
}

fn json(document: String) -> StaticFile {
    let kind = HeaderValue::from_static("application/json");
    StaticFile::new(document.into_bytes().into(), kind, Freshness::Asked)
}

fn not_found(detail: Sentence) -> Problem {
    Problem::new(ProblemType::NotFound).with_detail(detail)
}
