//! Prometheus scrapes a service under a little load. Every query of the dashboard is answered, no
//! alert fires in health, and Prometheus's own tool accepts the rules and their cases.

use std::path::{Path, PathBuf};
use std::process::Command;

use galley_tests::json::{id, list, text};
use galley_tests::{PrometheusServer, StackBuilder, TestClient, TestStack, until};
use serde_json::Value;

use crate::metrics_of_programs::inspection;

/// The files that operators use.
fn folder() -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    project.join("deploy/observability")
}

/// The queries of the dashboard with the titles of their panels, for a scrape five times a second.
fn queries() -> Vec<(String, String)> {
    let file = folder().join("grafana/galley.json");
    let dashboard = std::fs::read_to_string(file).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = list(&dashboard, "panels").iter().filter(|panel| panel["type"] != "row");
    let queries = panels.flat_map(|panel| {
        list(panel, "targets").iter().map(|target| {
            let query = text(target, "expr").replace("$__rate_interval", "2s");
            (text(panel, "title").to_owned(), query.replace("$instance", ".*"))
        })
    });
    queries.collect()
}

/// Places, cancels, collides with an allergy, and lists.
async fn cause_load(client: &TestClient, hero: i64, meal: i64) {
    let allergic = client.create_hero("Nova", &["leek"]).await;
    let dangerous = client.create_meal("Pie", &["leek"]).await;
    client.place_until(allergic, dangerous, "CANCELLED").await;
    let cancelled = id(&client.place(hero, meal).await);
    client.cancel(cancelled).await.is(200);
    client.place_until(hero, meal, "COMPLETED").await;
    client.get(&format!("/heroes/{hero}/orders?limit=10")).await.is(200);
}

/// Starts a Prometheus that scrapes every process of the stack.
async fn observe(stack: &TestStack) -> PrometheusServer {
    let programs = stack.gateways.iter().map(|gateway| ("galley-gateway", &gateway.program));
    let workers = stack.workers.iter().map(|worker| ("galley-worker", worker));
    let mut jobs = Vec::new();
    for (job, program) in programs.chain(workers) {
        let address = inspection(program).await.base().trim_start_matches("http://").to_owned();
        jobs.push((job, address));
    }
    PrometheusServer::start(stack.folder(), &folder().join("rules.yml"), &jobs).await
}

/// Waits until a query finds something.
async fn seen(prometheus: &PrometheusServer, what: &str, query: &str) {
    let found = async || (!prometheus.ask(query).await.is_empty()).then_some(());
    until(&format!("{what}: {query}"), found).await;
}

on_both_deployments!(every_query_of_the_dashboard_is_answered_and_no_alert_fires_in_health);
async fn every_query_of_the_dashboard_is_answered_and_no_alert_fires_in_health(
    stack: StackBuilder,
) {
    let stack = stack.delay("500ms").set("GALLEY_METRICS_LISTEN", "127.0.0.1:0");
    let (mut stack, client, hero, meal) =
        stack.set("GALLEY_LOG", "info").start_with_hero_and_meal().await;
    let prometheus = observe(&stack).await;
    let _socket = client.connect(hero).await;
    let _stream = client.listen(&format!("/heroes/{hero}/events")).await;
    cause_load(&client, hero, meal).await;

    let queries = queries();
    assert!(queries.len() > 50, "{queries:?}");
    for (title, query) in queries {
        seen(&prometheus, &title, &query).await;
    }
    let allergies = r#"galley_orders_cancelled_total{reason="allergy"} == 1"#;
    seen(&prometheus, "the allergy", allergies).await;
    seen(&prometheus, "a record", "galley:push_late:ratio_rate5m >= 0").await;
    let firing = prometheus.ask(r#"ALERTS{alertstate="firing"}"#).await;
    assert!(firing.is_empty(), "{firing:?}");

    if let Some(mut worker) = stack.workers.pop() {
        worker.kill();
        for alert in ["GalleyDown", "GalleyNoWorker"] {
            seen(&prometheus, "a dead worker", &format!("ALERTS{{alertname=\"{alert}\"}}")).await;
        }
    }
}

#[test]
fn each_alert_fires_when_it_should_and_the_configuration_is_right() {
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules.test.yml"],
    ] {
        let output = Command::new("promtool").args(arguments).current_dir(folder()).output();
        let output = output.expect("promtool is installed");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "promtool {arguments:?}: {said}");
    }
}
