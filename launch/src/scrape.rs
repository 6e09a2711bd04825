//! The answer to a scrape: all metrics of the process, and what is read from the database for it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use galley_store::Store;
use galley_telemetry::{
    DATABASE_CONNECTIONS, DATABASE_WAITING, OLDEST_PENDING_SECONDS, ORDERS, render,
};
use metrics::gauge;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long what was read from the database is used.
const FRESH: Duration = Duration::from_secs(1);
/// The longest wait for the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers scrapes. However many come, the database is asked at most once a second.
pub struct Scrape {
    store: Arc<dyn Store>,
    /// The last time at which the database was asked.
    asked: Mutex<Option<Instant>>,
}

impl Scrape {
    /// Creates the answers for this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, asked: Mutex::default() }
    }

    /// Returns all metrics in the text format of Prometheus.
    pub async fn answer(&self) -> Response {
        self.refresh().await;
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        (kind, render()).into_response()
    }

    /// Sets the gauges that are read for a scrape. NaN is what is not known.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    async fn refresh(&self) {
        let connections = self.store.connections();
        gauge!(DATABASE_CONNECTIONS, "state" => "open").set(connections.open as f64);
        gauge!(DATABASE_CONNECTIONS, "state" => "used").set(connections.used as f64);
        gauge!(DATABASE_WAITING).set(connections.waiting as f64);
        // Locked during the questions: other scrapes wait for the same answers.
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < FRESH) {
            return;
        }
        let questions = async { tokio::join!(self.store.totals(), self.store.oldest_pending()) };
        let (totals, oldest) = match timeout(PATIENCE, questions).await {
            Ok((totals, oldest)) => (totals.ok(), oldest.ok()),
            Err(_) => (None, None),
        };
        let count = |count: Option<i64>| count.map_or(f64::NAN, |count| count as f64);
        for (status, count) in [
            ("PENDING", count(totals.map(|totals| totals.pending))),
            ("IN_PROGRESS", count(totals.map(|totals| totals.in_progress))),
            ("COMPLETED", count(totals.map(|totals| totals.completed))),
            ("CANCELLED", count(totals.map(|totals| totals.cancelled))),
        ] {
            gauge!(ORDERS, "status" => status).set(count);
        }
        let age = oldest.map_or(f64::NAN, |age| age.unwrap_or_default().as_secs_f64());
        gauge!(OLDEST_PENDING_SECONDS).set(age);
        *asked = Some(Instant::now());
    }
}
