//! The report while the test runs: as a page, as JSON, and for Prometheus.
//!
//! The coordinator publishes the report of each second. Nobody waits for a reader: a reader gets
//! the newest report there is. The connections of each address are bounded.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use galley_launch::{Inspection, ListenAddress, Listener};
use tokio::sync::watch;

use crate::load_arguments::LoadArguments;
use crate::load_failure::LoadFailure;
use crate::report::{Report, html, prometheus};

/// The policy of the page: it may load nothing but its own figures.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
const BEGINS: &str = "<!doctype html>\n<meta http-equiv=\"refresh\" content=\"1\">\n\
    <meta name=\"color-scheme\" content=\"light dark\">\n<title>Galley load test</title>\n\
    <p>The test begins.</p>\n";

/// Where the coordinator puts the newest report.
pub type ReportPublisher = watch::Sender<Option<Arc<Report>>>;
/// The status of figures that are not there yet.
const UNKNOWN: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

type Newest = watch::Receiver<Option<Arc<Report>>>;

/// The addresses that serve the report of a running test.
pub struct LiveReport {
    web: Inspection,
    metrics: Inspection,
    newest: ReportPublisher,
    /// Messages about the addresses.
    pub addresses: Vec<String>,
}

impl LiveReport {
    /// Binds the addresses that were asked for. Must be called within a tokio runtime.
    pub fn bind(arguments: &LoadArguments) -> Result<Self, LoadFailure> {
        let mut addresses = Vec::new();
        let mut bind = |address: Option<&ListenAddress>, option, what: &str| {
            let bound = address.map(|address| Listener::bind(address, option, false));
            let bound =
                bound.transpose().map_err(|error| LoadFailure::Failed(error.to_string()))?;
            if let Some(listener) = &bound {
                addresses.push(format!("{what} {listener}"));
            }
            Ok::<_, LoadFailure>(Inspection::on(bound))
        };
        let web = bind(arguments.web.as_ref(), "--web", "the report is at")?;
        let metrics = arguments.metrics_listen.as_ref();
        let metrics = bind(metrics, "--metrics-listen", "metrics are at")?;
        Ok(Self { web, metrics, newest: watch::Sender::new(None), addresses })
    }

    /// Returns where the coordinator publishes reports; `None` if nobody can read them.
    pub fn publisher(&self) -> Option<ReportPublisher> {
        (!self.addresses.is_empty()).then(|| self.newest.clone())
    }

    /// Runs the test, and serves its report until it ends.
    pub async fn beside<T>(self, test: impl Future<Output = T>) -> T {
        let newest = self.newest.subscribe();
        let metrics = Router::new().route(
            "/metrics",
            serve(newest.clone(), UNKNOWN, |report| {
                let kind = "text/plain; version=0.0.4; charset=utf-8";
                ([(header::CONTENT_TYPE, kind)], prometheus::render(report)).into_response()
            }),
        );
        let web = Router::new()
            .route(
                "/",
                serve(newest.clone(), StatusCode::OK, |report| {
                    let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
                    (policy, Html(html::live(report))).into_response()
                }),
            )
            .route(
                "/figures",
                serve(newest.clone(), UNKNOWN, |report| {
                    Html(html::figures(report)).into_response()
                }),
            )
            // Browsers ask for it.
            .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
            .route(
                "/report.json",
                serve(newest, UNKNOWN, |report| axum::Json(report).into_response()),
            );
        self.web.beside(web, self.metrics.beside(metrics, test)).await
    }
}

/// Answers with the newest report. Before there is one the status is `early`, and a page comes
/// again.
fn serve(newest: Newest, early: StatusCode, answer: fn(&Report) -> Response) -> MethodRouter {
    get(async move || {
        let report = newest.borrow().clone();
        let Some(report) = report else {
            return (early, Html(BEGINS)).into_response();
        };
        let fresh =
            [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
        (fresh, answer(&report)).into_response()
    })
}
