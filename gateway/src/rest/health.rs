//! The health of this gateway: it lives, and it may take traffic or not.
//!
//! Asked by balancers and people. The dependencies are asked at most every half second, by one caller at a time, each for
//! at most a second; everyone who asks meanwhile waits for the same answer.

use std::fmt::Write as _;
use std::future::Future;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use galley_store::StoreError;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::hearing::{Unheard, Verdict};
use crate::metrics;
use crate::state::AppState;

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an answer of the dependencies is good for.
const FRESH: Duration = Duration::from_millis(500);

/// This process answers.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// Always `alive`.
    #[schema(example = "alive")]
    status: &'static str,
}

/// The readiness of this gateway to take traffic.
#[derive(Serialize, ToSchema)]
pub struct ReadinessReport {
    /// In a word.
    status: ReadinessStatus,
    /// Each thing that this gateway depends on.
    dependencies: Vec<Dependency>,
    /// Publishers that live and are not heard: what they change is read from the database until they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    unheard: Option<UnheardPublishers>,
}

/// Publishers that live and are not heard.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct UnheardPublishers {
    /// How many.
    #[schema(minimum = 1)]
    publishers: usize,
    /// For how long the first of them has not been heard.
    seconds: u64,
}

/// The readiness of this gateway to take traffic, in a word.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReadinessStatus {
    /// It may take traffic.
    Ready,
    /// It may take traffic, but updates of other processes come late: neither this gateway nor any other can hear them now.
    Degraded,
    /// It is about to leave.
    Draining,
    /// It cannot hear updates, while other gateways can.
    Deaf,
    /// Orders cannot be placed: the database is away, takes no changes, or does not finish them.
    Unavailable,
}

/// A thing that this gateway depends on.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct Dependency {
    /// Which: `database` or `bus`.
    #[schema(example = "database")]
    name: &'static str,
    /// Whether it answers.
    ok: bool,
    /// How long it took.
    millis: u64,
    /// The cause, when it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<&'static str>,
}

/// The last answer of the dependencies.
#[derive(Default)]
pub struct Probes(Mutex<Option<Probed>>);

#[derive(Clone, Copy)]
struct Probed {
    at: Instant,
    database: Dependency,
    bus: Dependency,
}

/// Alive
#[utoipa::path(
    get, path = "/healthz", tag = "operation", operation_id = "get_health",
    responses((status = 200, description = "This process answers.", body = Health)),
)]
pub async fn alive() -> Json<Health> {
    Json(Health { status: "alive" })
}

/// Ready
///
/// 503 sends traffic to other gateways: this one is leaving, orders cannot be placed, or it cannot hear updates while others can. When
/// none can, placing and cancelling go on, updates of other processes come late, and the answer is 200 with `degraded`.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", operation_id = "get_readiness",
    responses(
        (status = 200, description = "It may take traffic.", body = ReadinessReport, examples(
            ("ready" = (value = json!({"status": "ready", "dependencies": [
                {"name": "database", "ok": true, "millis": 0}, {"name": "bus", "ok": true, "millis": 0}]}))),
            ("degraded" = (value = json!({"status": "degraded", "dependencies": [
                {"name": "database", "ok": true, "millis": 0},
                {"name": "bus", "ok": false, "millis": 0, "detail": "the bus does not answer"}]}))),
        )),
        (status = 503, description = "It may not.", body = ReadinessReport,
            example = json!({"status": "deaf", "dependencies": [
                {"name": "database", "ok": true, "millis": 0}, {"name": "bus", "ok": false, "millis": 1000, "detail": "no answer in time"}]})),
    ),
)]
pub async fn ready(State(state): State<AppState>) -> Response {
    let Probed { database, bus, .. } = state.probes.ask(&state).await;
    let hearing = state.readiness.hearing();
    let status = judge(state.readiness.is_draining(), database.ok, hearing.verdict());
    let unheard = hearing
        .unheard()
        .map(|Unheard { publishers, since }| UnheardPublishers { publishers, seconds: since.elapsed().as_secs() });
    let report = ReadinessReport { status, dependencies: vec![database, bus], unheard };
    (status.code(), [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], report.lines()).into_response()
}

/// Metrics
///
/// In the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "get_metrics",
    responses((status = 200, description = "The metrics of this process.", body = String, content_type = "text/plain")),
)]
pub async fn scrape() -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], metrics::install().render()).into_response()
}

/// Leaving comes first, because nothing will change it; the database before the bus, because nothing works without it.
fn judge(draining: bool, database: bool, hearing: Verdict) -> ReadinessStatus {
    match (draining, database, hearing) {
        (true, ..) => ReadinessStatus::Draining,
        (false, false, _) => ReadinessStatus::Unavailable,
        (false, true, Verdict::Deaf) => ReadinessStatus::Deaf,
        (false, true, Verdict::AllDeaf) => ReadinessStatus::Degraded,
        (false, true, Verdict::Hearing) => ReadinessStatus::Ready,
    }
}

impl ReadinessStatus {
    const fn code(self) -> StatusCode {
        match self {
            Self::Ready | Self::Degraded => StatusCode::OK,
            Self::Draining | Self::Deaf | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl ReadinessReport {
    /// JSON with a line for each dependency, for people with `curl` and `grep`.
    fn lines(&self) -> String {
        let text = |value: serde_json::Result<String>| value.expect("plain data is JSON");
        let mut lines = format!("{{\"status\":{},\"dependencies\":[", text(serde_json::to_string(&self.status)));
        for (index, dependency) in self.dependencies.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(lines, "{comma}\n{}", text(serde_json::to_string(dependency))).expect("writing to memory does not fail");
        }
        lines.push_str("\n]");
        if let Some(unheard) = self.unheard {
            write!(lines, ",\n\"unheard\":{}", text(serde_json::to_string(&unheard))).expect("writing to memory does not fail");
        }
        lines.push_str("}\n");
        lines
    }
}

impl Probes {
    async fn ask(&self, state: &AppState) -> Probed {
        let mut last = self.0.lock().await;
        if let Some(probed) = *last
            && probed.at.elapsed() < FRESH
        {
            return probed;
        }
        let database = probe("database", state.desk.store().ping(), StoreError::words);
        let bus = probe("bus", state.bus.ping(), |_| "the bus does not answer");
        let (database, bus) = tokio::join!(database, bus);
        // The ping of the bus fails while the subscription is cut.
        state.readiness.hearing().set_answers(bus.ok);
        *last.insert(Probed { at: Instant::now(), database, bus })
    }
}

async fn probe<E>(
    name: &'static str,
    ping: impl Future<Output = Result<(), E>>,
    words: impl FnOnce(&E) -> &'static str,
) -> Dependency {
    let began = Instant::now();
    let detail = match timeout(PATIENCE, ping).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(words(&error)),
        Err(_) => Some("no answer in time"),
    };
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Dependency { name, ok: detail.is_none(), millis, detail }
}

#[cfg(test)]
mod tests {
    use super::{Dependency, ReadinessReport, ReadinessStatus, UnheardPublishers, Verdict, judge, probe};

    #[test]
    fn a_gateway_is_ready_unless_it_leaves_or_cannot_place_or_is_deaf_while_others_hear() {
        use Verdict::{AllDeaf, Deaf, Hearing};
        for (draining, database, hearing, word, code) in [
            (false, true, Hearing, "ready", 200),
            (false, true, AllDeaf, "degraded", 200),
            (false, true, Deaf, "deaf", 503),
            (false, false, Hearing, "unavailable", 503),
            (false, false, Deaf, "unavailable", 503),
            (true, false, AllDeaf, "draining", 503),
            (true, true, Hearing, "draining", 503),
        ] {
            let status = judge(draining, database, hearing);
            assert_eq!(serde_json::to_value(status).expect("a word"), word);
            assert_eq!(status.code(), code);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_does_not_answer_is_not_waited_for() {
        let silent = probe("bus", std::future::pending::<Result<(), ()>>(), |()| "away").await;
        assert_eq!((silent.ok, silent.detail), (false, Some("no answer in time")));
        assert!(probe("bus", async { Ok::<(), ()>(()) }, |()| "away").await.ok);
    }

    #[test]
    fn a_report_has_a_line_for_each_dependency_and_one_for_publishers_that_are_not_heard() {
        let dependency = |name, detail: Option<_>| Dependency { name, ok: detail.is_none(), millis: 3, detail };
        let report = |unheard| ReadinessReport {
            status: ReadinessStatus::Deaf,
            dependencies: vec![dependency("database", None), dependency("bus", Some("away"))],
            unheard,
        };
        let lines = "{\"status\":\"deaf\",\"dependencies\":[\n\
             {\"name\":\"database\",\"ok\":true,\"millis\":3},\n\
             {\"name\":\"bus\",\"ok\":false,\"millis\":3,\"detail\":\"away\"}\n]";
        assert_eq!(report(None).lines(), format!("{lines}}}\n"));
        let unheard = "\"unheard\":{\"publishers\":2,\"seconds\":7}";
        let some = report(Some(UnheardPublishers { publishers: 2, seconds: 7 }));
        assert_eq!(some.lines(), format!("{lines},\n{unheard}}}\n"));
    }
}
