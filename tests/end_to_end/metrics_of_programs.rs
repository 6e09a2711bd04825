//! Every program shows its metrics on an address of its own, whole from the start.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use galley_telemetry::{METRICS, MeteredProgram, Metric, MetricKind};
use galley_tests::json::id;
use galley_tests::{StackBuilder, TestClient, TestProgram, TestStack, port, until};

/// Returns a client of the address that the program tells in its log.
pub async fn inspection(program: &TestProgram) -> TestClient {
    const LINE: &str = r#""message":"serving metrics","address":""#;
    let url = until("the address of the metrics", async || {
        let log = program.log();
        let (_, rest) = log.split_once(LINE)?;
        rest.split_once('"').map(|(url, _)| url.to_owned())
    });
    TestClient::new(&url.await)
}

/// Returns the value of a series; `None` if it is absent.
async fn value(client: &TestClient, series: &str) -> Option<f64> {
    let text = client.get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

/// Returns the beginning of each series of a metric whose labels are known.
fn series(metric: &Metric) -> Vec<String> {
    let suffix = match metric.kind {
        MetricKind::Counter | MetricKind::Gauge => "",
        MetricKind::Seconds | MetricKind::Sizes => "_count",
    };
    let mut all = vec![format!("{}{suffix}", metric.name)];
    for (index, (label, values)) in metric.labels.iter().enumerate() {
        let begin = if index == 0 { '{' } else { ',' };
        let with = |begun: &String, value| format!("{begun}{begin}{label}=\"{value}\"");
        all = all
            .iter()
            .flat_map(|begun| values.iter().map(move |value| with(begun, value)))
            .collect();
    }
    let end = if metric.labels.is_empty() { " " } else { "} " };
    all.iter().map(|series| format!("{series}{end}")).collect()
}

/// Checks a fresh answer: its series, and what Prometheus's own tool thinks of it.
async fn check(client: &TestClient, program: MeteredProgram) {
    let text = client.get("/metrics").await.text;
    for metric in METRICS.iter().filter(|metric| metric.program.is_part_of(program)) {
        let known = metric.labels.iter().all(|(_, values)| !values.is_empty());
        for series in if known { series(metric) } else { Vec::new() } {
            assert!(text.lines().any(|line| line.starts_with(&series)), "{series}: {text}");
            let help = format!("# HELP {} ", metric.name);
            assert!(text.contains(&help), "{help}: {text}");
        }
    }
    for process in
        ["process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"]
    {
        assert!(text.lines().any(|line| line.starts_with(process)), "{process}: {text}");
    }
    let mut tool = Command::new("promtool");
    tool.args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut tool = tool.spawn().expect("promtool is installed");
    tool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let verdict = tool.wait_with_output().expect("it ends");
    let said =
        [verdict.stdout, verdict.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(verdict.status.success() && said.concat().is_empty(), "{said:?}");
}

on_both_deployments!(every_series_is_there_from_the_start);
async fn every_series_is_there_from_the_start(stack: StackBuilder) {
    let stack = stack
        .with_tokens()
        .set("GALLEY_METRICS_LISTEN", "127.0.0.1:0")
        .set("GALLEY_LOG", "info")
        .start()
        .await;
    let gateway = inspection(&stack.gateways[0].program).await;
    let Some(worker) = stack.workers.first() else {
        return check(&gateway, MeteredProgram::Both).await;
    };
    check(&gateway, MeteredProgram::Gateway).await;
    let worker = inspection(worker).await;
    check(&worker, MeteredProgram::Worker).await;
    for client in [&gateway, &worker] {
        assert_eq!(client.get("/healthz").await.is(200)["status"], "alive");
        assert_eq!(client.get("/readyz").await.is(200)["status"], "ready");
        client.get("/orders").await.is(404);
    }
}

#[tokio::test]
async fn an_order_is_counted_from_its_placement_to_its_end() {
    let mut stack = TestStack::distributed()
        .workers(0)
        .delay("0s")
        .set("GALLEY_METRICS_LISTEN", "127.0.0.1:0")
        .set("GALLEY_LOG", "info")
        .start()
        .await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let _socket = client.connect(hero).await;
    let order = id(&client.place(hero, meal).await);
    let gateway = inspection(&stack.gateways[0].program).await;
    let seen = async |client: &TestClient, series: &str, enough: f64| {
        until(series, async || value(client, series).await.filter(|seen| *seen >= enough)).await
    };
    // Without a worker the order waits.
    seen(&gateway, r#"galley_orders{status="PENDING"}"#, 1.0).await;
    seen(&gateway, "galley_oldest_pending_seconds", 0.5).await;
    seen(&gateway, r#"galley_orders_placed_total{verdict="placed"}"#, 1.0).await;
    seen(&gateway, r#"galley_sockets_by_kind{kind="hero"}"#, 1.0).await;
    seen(&gateway, r#"galley_database_connections{state="open"}"#, 1.0).await;
    stack.start_worker();
    client.until_status(order, "COMPLETED").await;
    let worker = inspection(&stack.workers[0]).await;
    for series in [
        r#"galley_orders_claimed_total{from="queue"}"#,
        "galley_orders_completed_total",
        "galley_order_wait_seconds_count",
        "galley_order_seconds_count",
        r#"galley_batch_size_count{operation="claim"}"#,
        r#"galley_database_seconds_count{operation="complete"}"#,
        r#"galley_orders{status="COMPLETED"}"#,
    ] {
        seen(&worker, series, 1.0).await;
    }
    let waited = value(&worker, "galley_order_wait_seconds_sum").await;
    assert!(waited.is_some_and(|waited| waited >= 0.5), "{waited:?}");
    until("no order waits", async || {
        let age = value(&gateway, "galley_oldest_pending_seconds").await;
        age.filter(|age| age.abs() < f64::EPSILON)
    })
    .await;
}

#[tokio::test]
async fn an_address_that_is_taken_ends_the_start_with_advice() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let stack = TestStack::embedded().start().await;
    let own = port::free().to_string();
    let settings = [
        ("GALLEY_METRICS_LISTEN", address.as_str()),
        ("GALLEY_LISTEN", own.as_str()),
        ("DATABASE_URL", "sqlite://other.db"),
    ];
    let mut program = stack.launch("galley", &settings);
    until("the end", async || (!program.is_running()).then_some(())).await;
    let log = program.log();
    assert!(log.contains("choose another with --metrics-listen"), "{log}");
}

/// The most series of a fresh `galley`; docs/operating.md says how many there are.
const MOST_SERIES: usize = 4_000;

#[tokio::test]
async fn requests_of_every_operation_have_their_series_from_the_start() {
    let stack = TestStack::embedded().delay("0s").start().await;
    let client = stack.client();
    let series = async || {
        let text = client.get("/metrics").await.text;
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let names = lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
        names.collect::<BTreeSet<String>>()
    };
    let before = series().await;
    assert!(before.len() <= MOST_SERIES, "{} series", before.len());
    let (hero, meal) = client.create_hero_and_meal().await;
    let order = client.place_until(hero, meal, "COMPLETED").await;
    let _socket = client.connect(hero).await;
    let _stream = client.listen("/events").await;
    for path in [
        format!("/heroes/{hero}"),
        format!("/heroes/{hero}/orders"),
        format!("/meals/{meal}"),
        format!("/orders/{order}"),
        "/meals".to_owned(),
        "/operations".to_owned(),
        "/docs".to_owned(),
        "/docs/live".to_owned(),
        "/docs/live/".to_owned(),
        "/docs/swagger-ui.css".to_owned(),
        "/openapi.json".to_owned(),
        "/problems/forbidden".to_owned(),
        "/assets/icon.svg".to_owned(),
        "/".to_owned(),
        "/nowhere".to_owned(),
        "/orders/9999".to_owned(),
    ] {
        let answer = client.get(&path).await;
        client.get(&path).header("if-none-match", answer.header("etag")).await;
        client.get(&format!("{path}?nothing=1")).await;
    }
    client.patch(&format!("/meals/{meal}"), &serde_json::json!({"price": -1})).await.is(422);
    client.cancel(order).await.is(409);
    client.delete(&format!("/orders/{order}")).await.is(204);
    let after = series().await;
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
}
