//! The liveness and the readiness of this gateway, read by load balancers and people.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::probes::{Dependency, Probed};
use crate::state::AppState;
use crate::subscription_health::{Reception, UnheardSince};

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
    /// Publishers that live and are not heard: what they change is read from the database until
    /// they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    unheard: Option<UnheardPublishers>,
}

/// Publishers that live and are not heard.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct UnheardPublishers {
    /// How many.
    #[schema(format = Int64, minimum = 1)]
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
    /// It may take traffic, but updates of other processes come late: neither this gateway nor any
    /// other can hear them now.
    Degraded,
    /// It is about to leave.
    Draining,
    /// It cannot hear updates, while other gateways can.
    Deaf,
    /// Orders cannot be placed: the database is away, takes no changes, or does not finish them.
    Unavailable,
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
/// 503 sends traffic to other gateways: this one is leaving, orders cannot be placed, or it cannot
/// hear updates while others can. When none can, placing and cancelling go on, updates of other
/// processes come late, and the answer is 200 with `degraded`.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", operation_id = "get_readiness",
    responses(
        (status = 200, description = "It may take traffic.", body = ReadinessReport, examples(
            ("ready" = (value = json!({"status": "ready", "dependencies": [
                {"name": "database", "ok": true, "millis": 0}, {"name": "bus", "ok": true, "millis": 0}]}))),
            ("degraded" = (value = json!({"status": "degraded", "dependencies": [
                {"name": "database", "ok": true, "millis": 0},
                {"name": "bus", "ok": false, "millis": 0, "detail": "cannot reach Redis"}]}))),
        )),
        (status = 503, description = "It may not.", body = ReadinessReport,
            example = json!({"status": "deaf", "dependencies": [
                {"name": "database", "ok": true, "millis": 0}, {"name": "bus", "ok": false, "millis": 1000, "detail": "no answer in time"}]})),
    ),
)]
pub async fn ready(State(state): State<AppState>) -> Response {
    let (status, dependencies) = look(&state).await;
    let hearing = state.readiness.hearing();
    let unheard = hearing.unheard().map(|UnheardSince { publishers, since }| UnheardPublishers {
        publishers,
        seconds: since.elapsed().as_secs(),
    });
    let report = ReadinessReport { status, dependencies, unheard };
    (
        status.code(),
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        report.lines(),
    )
        .into_response()
}

/// Metrics
///
/// In the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "get_metrics",
    responses((status = 200, description = "The metrics of this process.", body = String, content_type = "text/plain")),
)]
pub async fn scrape(State(state): State<AppState>) -> Response {
    state.scrape.answer().await
}

/// Returns the readiness, and each thing that this gateway depends on.
pub async fn look(state: &AppState) -> (ReadinessStatus, Vec<Dependency>) {
    let hearing = state.readiness.hearing();
    let Probed { database, bus, .. } =
        state.probes.ask(&**state.commands.store(), &*state.bus, hearing).await;
    let status = judge(state.readiness.is_draining(), database.ok, hearing.verdict());
    (status, vec![database, bus])
}

/// Judges the readiness. Draining comes first, because nothing will change it; the database comes
/// before the bus, because nothing works without it.
fn judge(draining: bool, database: bool, hearing: Reception) -> ReadinessStatus {
    match (draining, database, hearing) {
        (true, ..) => ReadinessStatus::Draining,
        (false, false, _) => ReadinessStatus::Unavailable,
        (false, true, Reception::Deaf) => ReadinessStatus::Deaf,
        (false, true, Reception::AllDeaf) => ReadinessStatus::Degraded,
        (false, true, Reception::Receiving) => ReadinessStatus::Ready,
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
    /// Returns JSON with one line per dependency, for people with `curl` and `grep`.
    fn lines(&self) -> String {
        let text = |value: serde_json::Result<String>| value.expect("plain data is JSON");
        let mut lines = format!(
            "{{\"status\":{},\"dependencies\":[",
            text(serde_json::to_string(&self.status))
        );
        for (index, dependency) in self.dependencies.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(lines, "{comma}\n{}", text(serde_json::to_string(dependency)))
                .expect("writing to memory does not fail");
        }
        lines.push_str("\n]");
        if let Some(unheard) = self.unheard {
            write!(lines, ",\n\"unheard\":{}", text(serde_json::to_string(&unheard)))
                .expect("writing to memory does not fail");
        }
        lines.push_str("}\n");
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Dependency, ReadinessReport, ReadinessStatus, Reception, UnheardPublishers, judge,
    };

    #[test]
    fn a_gateway_is_ready_unless_it_leaves_or_cannot_place_or_is_deaf_while_others_hear() {
        use Reception::{AllDeaf, Deaf, Receiving};
        for (draining, database, hearing, word, code) in [
            (false, true, Receiving, "ready", 200),
            (false, true, AllDeaf, "degraded", 200),
            (false, true, Deaf, "deaf", 503),
            (false, false, Receiving, "unavailable", 503),
            (false, false, Deaf, "unavailable", 503),
            (true, false, AllDeaf, "draining", 503),
            (true, true, Receiving, "draining", 503),
        ] {
            let status = judge(draining, database, hearing);
            assert_eq!(serde_json::to_value(status).expect("a word"), word);
            assert_eq!(status.code(), code);
        }
    }

    #[test]
    fn a_report_has_a_line_for_each_dependency_and_one_for_publishers_that_are_not_heard() {
        let dependency =
            |name, detail: Option<_>| Dependency { name, ok: detail.is_none(), millis: 3, detail };
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
