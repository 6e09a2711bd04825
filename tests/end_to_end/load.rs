//! `galley-load` against real gateways, and against one that sends wrong updates.

use galley_tests::command_output::{CommandOutput, run};
use galley_tests::program::{Signal, command, path_of};
use galley_tests::{Lie, LoadRun, LyingGateway, StackBuilder, TestProgram, TestStack};
use serde_json::Value;

/// Runs it against the gateway at this URL with `--json`; returns its report and its output.
async fn load(url: &str, words: &str) -> (Value, CommandOutput) {
    let LoadRun { report, said } = LoadRun::of(url, words).await;
    (report, said)
}

fn count(report: &Value, name: &str) -> u64 {
    report["counts"][name].as_u64().unwrap_or_else(|| panic!("no count {name} in {report}"))
}

on_both_deployments!(orders_at_a_rate_are_measured_and_checked);
async fn orders_at_a_rate_are_measured_and_checked(stack: StackBuilder) {
    let stack = stack.delay("0s").start().await;
    let page = stack.folder().join("report.html");
    let words = format!(
        "steady --sockets 40 --heroes 5 --ordering 4 --rate 50 --duration 2s --delay 0s --processes 2 --html {}",
        page.display()
    );
    let (report, said) = load(stack.client().base(), &words).await;
    assert_eq!(said.code, 0, "{said:?}");
    let placed = count(&report, "placed");
    assert_eq!(placed, 100, "2 s at 50 a second");
    for name in ["acked", "ended"] {
        assert_eq!(count(&report, name), placed, "{name}: {report}");
    }
    for name in ["lost", "unchecked", "unanswered", "unsent", "cut"] {
        assert_eq!(count(&report, name), 0, "{name}: {report}");
    }
    assert_eq!((count(&report, "opened"), &report["most_open"]), (40, &Value::from(40)));
    // Three states for each of a hero's eight sockets, unless the gateway merged some.
    let pushed = report["latencies"]["push"]["count"].as_u64().unwrap_or(0);
    assert_eq!(
        pushed + count(&report, "skipped") - count(&report, "duplicated"),
        3 * 8 * placed,
        "{report}"
    );
    for latency in ["connect", "welcome", "ack", "final", "late"] {
        assert!(
            report["latencies"][latency]["p50_ms"].as_f64().is_some_and(|millis| millis >= 0.0),
            "{latency}: {report}"
        );
    }
    assert_eq!(report["model"], "open");
    assert!(report["push_lag"]["count"].as_u64().is_some_and(|count| count > 0), "{report}");
    assert_eq!(stack.client().all("/orders").await.len() as u64, placed);
    check_page(&std::fs::read_to_string(page).expect("the page was written"));
}

/// Expects a page that is self-contained and complete.
fn check_page(page: &str) {
    for foreign in ["<script", "<link", "<img", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(foreign), "{foreign} in {page}");
    }
    assert_eq!(page.matches("<svg").count(), 5, "percentiles, orders, frames, sockets, latencies");
    for part in
        ["prefers-color-scheme: dark", "Percentiles", "Open sockets", "Errors", "lost=0", "ack"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("NaN"), "{page}");
}

#[tokio::test]
async fn every_scenario_does_what_it_says_and_loses_nothing() {
    let stack = TestStack::embedded()
        .delay("10ms..50ms")
        .set("GALLEY_COMMAND_RATE", "unlimited")
        .start()
        .await;
    let client = stack.client();
    for (words, counts) in [
        ("idle --sockets 30 --duration 1s", &["opened"][..]),
        (
            "burst --sockets 20 --rate 5 --burst 50 --burst-every 500ms --duration 1200ms",
            &["placed", "ended"],
        ),
        ("storm --sockets 20 --rate 20 --storm-every 700ms --duration 2s", &["dropped", "ended"]),
        ("slow-readers --sockets 20 --heroes 2 --rate 40 --slow 50 --duration 1500ms", &["ended"]),
        ("hot-hero --sockets 10 --rate 100 --duration 1s", &["ended"]),
        ("firehose --sockets 10 --dashboards 3 --rate 50 --duration 1s", &["ended"]),
        ("steady --sockets 8 --rate max --placers 4 --in-flight 2 --duration 1s", &["ended"]),
        ("steady --sockets 8 --rate max --over rest --connections 4 --duration 1s", &["ended"]),
    ] {
        let (report, said) = load(client.base(), words).await;
        assert_eq!(said.code, 0, "{words}: {said:?}");
        for name in counts {
            assert!(count(&report, name) > 0, "{words}: {name}: {report}");
        }
        assert_eq!(
            (count(&report, "lost"), count(&report, "refused")),
            (0, 0),
            "{words}: {report}"
        );
        assert_eq!(count(&report, "ended"), count(&report, "acked"), "{words}: {report}");
        let (dropped, back) = (
            count(&report, "dropped"),
            report["latencies"]["reconnect"]["count"].as_u64().unwrap_or(0),
        );
        assert_eq!(dropped >= 20 && back >= 20, words.starts_with("storm"), "{words}: {report}");
        assert_eq!(report["model"] == "closed", words.contains("max"), "{words}");
    }
}

#[tokio::test]
async fn at_its_defaults_a_gateway_refuses_no_order_of_a_scenario() {
    let stack = TestStack::embedded().delay("10ms..50ms").start().await;
    for scenario in ["steady", "burst", "slow-readers", "hot-hero", "firehose"] {
        let words = format!("{scenario} --sockets 100 --duration 3s");
        let (report, said) = load(stack.client().base(), &words).await;
        assert!(count(&report, "placed") > 50, "{words}: {report}");
        assert_eq!((said.code, count(&report, "refused")), (0, 0), "{words}: {report}");
    }
}

#[tokio::test]
async fn a_gateway_that_drops_doubles_or_swaps_frames_is_found_out() {
    for (lie, name) in [
        (Lie::None, ""),
        (Lie::Drop, "lost"),
        (Lie::Double, "duplicated"),
        (Lie::Swap, "out_of_order"),
    ] {
        let gateway = LyingGateway::start(lie).await;
        let words = "steady --sockets 2 --heroes 2 --rate 60 --duration 1s --settle 500ms --require out_of_order=0 --require duplicated=0";
        let (report, said) = load(&gateway.url, words).await;
        assert_eq!(said.code, if lie == Lie::None { 0 } else { 3 }, "{lie:?}: {said:?}");
        for wrong in ["lost", "duplicated", "out_of_order"] {
            assert_eq!(count(&report, wrong) > 0, wrong == name, "{lie:?}: {wrong}: {report}");
        }
        assert_eq!(
            said.stderr.contains(&format!("not met: {name}=0")),
            lie != Lie::None,
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn requirements_decide_the_exit_code() {
    let stack = TestStack::embedded().delay("0s").start().await;
    let url = stack.client().base().to_owned();
    let words = "--sockets 4 --rate 20 --duration 500ms --require";
    let (report, said) = load(&url, &format!("{words} ack_p99<1m --require orders_per_s>1")).await;
    assert_eq!(
        (said.code, report["requirements"].as_array().map(Vec::len)),
        (0, Some(4)),
        "{said:?}"
    );
    let (report, said) = load(&url, &format!("{words} ack_p50<1ns")).await;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stderr.contains("not met: ack_p50<1ns"), "{said:?}");
    assert_eq!(report["requirements"][2]["holds"], false);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_one_line() {
    let stack = TestStack::embedded().set("GALLEY_MAX_SOCKETS_PER_HERO", "2").start().await;
    let url = stack.client().base().to_owned();
    for (url, words, code, part) in [
        ("http://127.0.0.1:1", "", 1, "cannot reach the gateway at http://127.0.0.1:1"),
        (&url, "--rate fast", 2, "--rate"),
        (&url, "--require gold>1", 2, "nothing is called"),
        (&url, "--sockets 30000000 --processes 2", 1, "ulimit -n"),
        (&url, "--sockets 4 --heroes 9", 2, "--heroes"),
    ] {
        let arguments: Vec<&str> = words.split_whitespace().collect();
        let said = run("galley-load", &arguments, &[("GALLEY_URL", url)]).await;
        assert_eq!(
            (said.code, said.stdout.as_str(), said.stderr.lines().count()),
            (code, "", 1),
            "{words}: {said:?}"
        );
        assert!(
            said.stderr.starts_with("error: ") && said.stderr.contains(part),
            "{words}: {said:?}"
        );
    }
    let (report, said) = load(&url, "idle --sockets 3 --heroes 1 --duration 100ms").await;
    assert_eq!((count(&report, "given_up"), count(&report, "opened")), (1, 2), "{said:?}");
    assert!(
        report["errors"][0]["what"]
            .as_str()
            .is_some_and(|what| what.contains("GALLEY_MAX_SOCKETS_PER_HERO")),
        "{report}"
    );
}

#[tokio::test]
async fn an_interrupt_prints_the_figures_so_far() {
    let stack = TestStack::embedded().delay("0s").start().await;
    let client = stack.client();
    let mut command = command(path_of("galley-load"));
    command.args(["--sockets", "5", "--rate", "50", "--duration", "1h", "--url", client.base()]);
    let mut program = TestProgram::start("galley-load", &mut command);
    program.line("5 sockets are open").await;
    galley_tests::until("an order", async || {
        (!client.all("/orders").await.is_empty()).then_some(())
    })
    .await;
    program.signal(Signal::INT);
    assert_eq!(program.exit().await.code(), Some(130));
    let said = program.log();
    assert!(
        said.contains("stopped early") && said.contains("placed") && said.contains("P99.9"),
        "{said}"
    );
}

/// The client shares its machine with the gateway, and must not be the one that fills its memory.
#[tokio::test]
async fn a_socket_costs_the_client_a_few_hundred_bytes() {
    const SOCKETS: u64 = 2_000;
    let stack = TestStack::embedded().set("GALLEY_MAX_SOCKETS_PER_HERO", "2000").start().await;
    let client = stack.client();
    let mut command = command(path_of("galley-load"));
    let sockets = SOCKETS.to_string();
    command.args([
        "idle",
        "--sockets",
        &sockets,
        "--heroes",
        "1",
        "--duration",
        "1h",
        "--json",
        "--url",
        client.base(),
    ]);
    let mut program = TestProgram::start("galley-load", &mut command);
    program.line(&format!("{SOCKETS} sockets are open")).await;
    program.signal(Signal::INT);
    let report = program.line(r#""bytes_per_socket":"#).await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let bytes = report["client"]["bytes_per_socket"].as_f64().expect("it was measured");
    // A few hundred kilobytes belong to the process, independent of the number of sockets.
    assert!((100.0..1_000.0).contains(&bytes), "a socket costs the client {bytes} bytes");
}
