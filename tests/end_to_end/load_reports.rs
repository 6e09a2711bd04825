//! What `galley-load` shows while it runs and in the end, and the comparison of two reports.

use galley_tests::command_output::run;
use galley_tests::program::{Signal, command, path_of};
use galley_tests::{LoadRun, TestClient, TestProgram, TestStack, until};
use serde_json::{Value, json};

#[tokio::test]
async fn a_running_test_shows_its_figures_on_a_page_for_prometheus_and_in_lines() {
    let stack = TestStack::embedded().delay("0s").start().await;
    let mut command = command(path_of("galley-load"));
    command.args(["storm", "--sockets", "5", "--rate", "50", "--duration", "1h"]);
    command.args(["--storm-every", "1s", "--url", stack.client().base()]);
    command.args(["--web", "127.0.0.1:0", "--metrics-listen", "0"]);
    let mut program = TestProgram::start("galley-load", &mut command);
    let mut address = async |part: &str| {
        let line = program.line(part).await;
        TestClient::new(line.rsplit(' ').next().expect("an address"))
    };
    let page = address("the report is at http://127.0.0.1:").await;
    let metrics = address("metrics are at http://127.0.0.1:").await;
    let seen = until("orders on the page", async || {
        let report = page.get("/report.json").try_send().await.ok()?;
        let report = (report.status == 200).then(|| report.json())?;
        let cuts = |moment: &Value| moment["dropped"].as_u64() > Some(0);
        let is_cut = report["moments"].as_array().is_some_and(|all| all.iter().any(cuts));
        (is_cut && report["counts"]["ended"].as_u64() > Some(60)).then_some(report)
    });
    let seen = seen.await;
    assert_eq!(seen["requirements"][0]["requirement"], "lost=0", "{seen}");
    let shown = page.get("/").await;
    assert!(shown.header("content-security-policy").contains("default-src 'none'"), "{shown:?}");
    let (shown, part) = (shown.text, page.get("/figures").await.text);
    assert!(shown.contains("<script>") && shown.contains("The test runs."), "{shown}");
    assert!(
        part.starts_with("<h1>") && part.contains("class=\"cut\"") && !part.contains("<script")
    );
    let scraped = metrics.get("/metrics").await.text;
    for sample in ["galley_load_open_sockets 5\n", "galley_load_ack_seconds{quantile=\"0.99\"} "] {
        assert!(scraped.contains(sample), "{sample}: {scraped}");
    }
    assert!(metrics.metric("galley_load_acked_total").await > 60, "{scraped}");
    let line = program.line(" s of 3600 s: 5 sockets, ").await;
    assert!(line.contains(" orders/s, ") && line.contains("ack p50 "), "{line}");
    program.signal(Signal::INT);
    assert_eq!(program.exit().await.code(), Some(130));
}

#[tokio::test]
async fn a_test_ends_when_a_requirement_breaks_after_its_grace_time() {
    let stack = TestStack::embedded().delay("0s").start().await;
    let words = "--sockets 4 --rate 50 --duration 1h --abort-on-fail --abort-grace 1s \
                 --require orders_per_s>=1000 --require ack_p99<1ns";
    let run = LoadRun::of(stack.client().base(), words).await;
    assert_eq!(run.said.code, 3, "{:?}", run.said);
    assert!(run.said.stderr.contains("stopped early: not met: ack_p99<1ns"), "{:?}", run.said);
    assert_eq!(run.report["aborted"], "ack_p99<1ns");
    let lasted = run.report["load_s"].as_f64().expect("a time");
    assert!((1.0..10.0).contains(&lasted), "{lasted}");
}

#[tokio::test]
async fn two_reports_are_compared_and_a_regression_decides_the_exit_code() {
    let stack = TestStack::embedded().delay("0s").start().await;
    let words = "--sockets 4 --rate 40 --duration 1s";
    let measured = LoadRun::of(stack.client().base(), words).await;
    measured.is_well();
    let before = measured.report;
    assert!(before["client"]["hosts"][0]["memory_bytes"].as_u64() > Some(1 << 20), "{before}");
    assert_eq!(before["service"][0]["program"], "gateway", "{before}");
    let mut after = before.clone();
    let slower = before["latencies"]["ack"]["p99_ms"].as_f64().expect("it was measured") * 1.5;
    after["latencies"]["ack"]["p99_ms"] = slower.into();
    after["settings"]["seed"] = 2.into();
    after["counts"]["refused"] = 1.into();
    let file = |name: &str, report: &Value| {
        let path = stack.folder().join(name);
        std::fs::write(&path, report.to_string()).expect("a file");
        path.display().to_string()
    };
    let (before, after) = (file("before.json", &before), file("after.json", &after));
    let other = file("other.json", &json!({"schema": 2}));
    for (words, code, parts) in [
        (&[&before[..], &after][..], 0, &["1.50", "different seed: 1 -> 2"][..]),
        (&[&before, &after, "--max-regression", "10%"], 3, &["WORSE", "worse: ack_p99, refused"]),
        (&[&before, &after, "--max-regression", "60", "--only", "ack_p99"], 0, &["1.50"]),
        (&[&before, &before, "--max-regression", "0%"], 0, &["1.00"]),
        (&[&before, &after, "--only", "gold"], 2, &["gold"]),
        (&[&before, &other], 2, &["other.json"]),
        (&[&before], 2, &["AFTER"]),
    ] {
        let words: Vec<&str> = ["compare"].iter().chain(words).copied().collect();
        let said = run("galley-load", &words, &[]).await;
        assert_eq!(said.code, code, "{words:?}: {said:?}");
        let shown = format!("{}{}", said.stdout, said.stderr);
        for part in parts {
            assert!(shown.contains(part), "{words:?}: {part}: {said:?}");
        }
    }
}
