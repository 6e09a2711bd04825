//! Loads that change over time and mix requests, and the files that describe them.

use std::fs;
use std::time::Duration;

use galley_tests::command_output::run;
use galley_tests::signed_token::{hero, staff};
use galley_tests::{Lie, LoadRun, LyingGateway, StackBuilder, TestStack, until};

/// The values of the moments of a report.
fn over_time(run: &LoadRun, name: &str) -> Vec<u64> {
    let moments = run.report["moments"].as_array().expect("moments");
    moments.iter().map(|moment| moment[name].as_u64().expect("a number")).collect()
}

on_both_deployments!(sockets_and_rate_follow_the_stages_and_every_request_is_answered);
async fn sockets_and_rate_follow_the_stages_and_every_request_is_answered(stack: StackBuilder) {
    let stack = stack.delay("10ms..50ms").set("GALLEY_COMMAND_RATE", "unlimited").start().await;
    let words = "--processes 2 --heroes 5 --stage 2s:60:100 --stage 3s:60 --stage 1500ms:4:0";
    let run = LoadRun::of(stack.client().base(), words).await;
    run.is_well();
    let sockets = over_time(&run, "open");
    assert_eq!((sockets.iter().max(), run.report["most_open"].as_u64()), (Some(&60), Some(60)));
    assert!(sockets.first() < Some(&40) && sockets.last() < Some(&20), "{sockets:?}");
    // 100 while it rises, 300 at the rate, 75 while it falls.
    let placed = run.count("placed");
    assert!((470..=476).contains(&placed), "{placed} orders: {}", run.report);
    assert_eq!((run.count("ended"), run.count("opened")), (placed, 60), "{}", run.report);
    let stages = &run.report["settings"]["stages"];
    assert_eq!((&stages[0]["sockets"], &stages[2]["rate"]), (&60.into(), &0.0.into()), "{stages}");
}

#[tokio::test]
async fn a_mix_cancels_deletes_and_reads_over_sockets_and_rest() {
    let stack = TestStack::embedded()
        .delay("50ms..100ms")
        .set("GALLEY_COMMAND_RATE", "unlimited")
        .start()
        .await;
    for over in ["socket", "rest"] {
        let words = format!(
            "--sockets 12 --heroes 4 --rate 60 --duration 2s --event-streams 50 --dashboards 1 \
             --mix place=5,cancel=2,delete=1,read=2 --over {over} --require read_p99<10s"
        );
        let run = LoadRun::of(stack.client().base(), &words).await;
        run.is_well();
        for (name, latency) in [("cancelled", "cancel"), ("deleted", "delete"), ("read", "read")] {
            assert!(run.count(name) > 2, "{over}: {name}: {}", run.report);
            let count = run.report["latencies"][latency]["count"].as_u64();
            assert_eq!(count, Some(run.count(name)), "{over}: {latency}: {}", run.report);
        }
        let requests =
            ["placed", "cancelled", "deleted", "read", "too_late"].map(|it| run.count(it));
        assert_eq!(requests.iter().sum::<u64>(), 120, "{over}: {}", run.report);
    }
    let cancelled = stack.client().all("/orders?status=CANCELLED").await;
    assert!(!cancelled.is_empty() && cancelled.iter().all(|it| it["reason"] == "hero_request"));
}

#[tokio::test]
async fn requests_whose_answer_a_storm_cut_off_are_repeated_and_place_one_order() {
    let stack = TestStack::embedded().delay("0s").set("GALLEY_COMMAND_RATE", "unlimited").start();
    let stack = stack.await;
    let words = "storm --sockets 20 --heroes 4 --rate 100 --storm-every 300ms --duration 2s";
    let run = LoadRun::of(stack.client().base(), words).await;
    assert_eq!((run.said.code, run.count("unanswered")), (0, 0), "{:?}", run.said);
    assert!(run.count("dropped") > 20, "{}", run.report);
    assert_eq!(run.count("acked"), run.count("placed"), "{}", run.report);
    let orders = stack.client().all("/orders").await.len() as u64;
    assert_eq!(orders, run.count("placed"), "no order was placed twice");
}

#[tokio::test]
async fn with_keys_every_request_is_answered_although_the_network_cuts_connections() {
    let stack = TestStack::embedded().delay("0s").set("GALLEY_COMMAND_RATE", "unlimited").start();
    let stack = stack.await;
    let (proxy, behind) = stack.proxied().await;
    proxy.slow(Duration::from_millis(20)); // so that answers are under way when it cuts
    let orders = async || stack.client().all("/orders").await.len();
    let mut placed = 0;
    for over in ["socket", "rest"] {
        let words = format!(
            "--sockets 8 --heroes 4 --rate 60 --duration 3s --keys --over {over} --connections 8"
        );
        let before = orders().await;
        let cuts = async {
            for wanted in [20, 50, 80] {
                let grown = async || (orders().await > before + wanted).then_some(());
                until("more orders", grown).await;
                proxy.cut();
            }
        };
        let (run, ()) = tokio::join!(LoadRun::of(behind.base(), &words), cuts);
        assert_eq!((run.said.code, run.count("unanswered")), (0, 0), "{over}: {:?}", run.said);
        assert!(run.report["errors"][0]["count"].as_u64() > Some(0), "{over}: {}", run.report);
        assert_eq!(run.count("acked"), run.count("placed"), "{over}: {}", run.report);
        placed += run.count("placed");
    }
    assert_eq!(orders().await as u64, placed, "no order was placed twice");
}

#[tokio::test]
async fn a_request_without_an_answer_is_a_failure() {
    let gateway = LyingGateway::start(Lie::Silent).await;
    let words = "--sockets 2 --heroes 2 --rate 60 --duration 500ms --settle 300ms";
    let run = LoadRun::of(&gateway.url, words).await;
    assert_eq!(run.said.code, 3, "{:?}", run.said);
    assert_eq!(run.count("unanswered"), run.count("placed") - run.count("acked"), "{}", run.report);
    assert!(run.said.stderr.contains("not met: unanswered=0"), "{:?}", run.said);
}

#[tokio::test]
async fn heroes_that_exist_are_used_with_their_own_tokens() {
    let stack = TestStack::embedded().delay("0s").with_tokens().start().await;
    let client = stack.staff();
    let (first, second) = (client.create_hero("A", &[]).await, client.create_hero("B", &[]).await);
    let file = |name: &str, text: &str| {
        let path = stack.folder().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let tokens =
        file("heroes", &format!("{first} {}\n{second}\t{}\n", hero(first, 900), hero(second, 900)));
    let staff = file("staff", &staff(900));
    let words = format!(
        "--sockets 6 --rate 40 --duration 1s --token-file {staff} --hero-token-file {tokens}"
    );
    LoadRun::of(client.base(), &words).await.is_well();
    let orders = client.all("/orders").await;
    assert_eq!(orders.len(), 40);
    assert!(orders.iter().all(|order| order["hero_id"] == first || order["hero_id"] == second));
    assert_eq!(client.all("/heroes").await.len(), 2, "the test made none");
    for (text, part) in [("4", "line 1"), ("", "at least one"), ("1 a\n1 b", "only once")] {
        let wrong = file("wrong", text);
        let words = ["--token-file", &staff, "--hero-token-file", &wrong];
        let said = run("galley-load", &words, &[("GALLEY_URL", client.base())]).await;
        assert!(said.code == 2 && said.stderr.contains(part), "{text}: {said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    }
}

#[tokio::test]
async fn a_scenario_file_says_what_flags_say_and_flags_win() {
    let stack = TestStack::embedded().delay("0s").set("GALLEY_COMMAND_RATE", "unlimited").start();
    let stack = stack.await;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients/load/scenarios/evening.toml");
    let words = format!(
        "--scenario {example} --stage 1s:30:100 --stage 500ms:5:0 --seed 7 --require ack_p99<1m"
    );
    let run = LoadRun::of(stack.client().base(), &words).await;
    run.is_well();
    let settings = &run.report["settings"];
    assert_eq!(settings["stages"].as_array().map(Vec::len), Some(2), "{settings}");
    assert_eq!((&settings["seed"], &settings["dashboards"]), (&7.into(), &1.into()), "{settings}");
    assert_eq!(settings["mix"], "place=70,cancel=10,delete=5,read=15");
    assert_eq!(settings["event_stream_permille"], 200);
    assert!(run.report["requirements"].as_array().is_some_and(|all| all.len() == 3), "{run:?}");
}

#[tokio::test]
async fn a_mistake_in_a_scenario_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wrong.toml");
    for (text, parts) in [
        ("rate = 5\nsokets = 3\n", &["line 2", "sokets", "--sockets"][..]),
        ("\n\nrate = \"fast\"\n", &["line 3", "--rate", "fast"]),
        ("rate = 5\nrate = 6\n", &["line 2", "duplicate"]),
        ("rate = [\n", &["line "]),
        ("json = 3\n", &["line 1", "true or false"]),
        ("stage = [[1]]\n", &["line 1", "stage"]),
        ("scenario = \"wild\"\n", &["line 1", "wild"]),
        ("stage = \"1s:5:5\"\nrate = \"max\"\n", &["--rate max"]),
    ] {
        fs::write(&path, text).expect("a file");
        let said = run("galley-load", &["--scenario", &path.display().to_string()], &[]).await;
        assert_eq!((said.code, said.stderr.lines().count()), (2, 1), "{text}: {said:?}");
        for part in parts {
            assert!(said.stderr.contains(part), "{text}: {part}: {said:?}");
        }
    }
    let said = run("galley-load", &["--scenario", "/nowhere.toml"], &[]).await;
    assert!(said.code == 2 && said.stderr.contains("/nowhere.toml"), "{said:?}");
}
