//! The log has its levels and its format, contains no password and reports an outage in single
//! lines. A blocked or closed output neither delays nor ends the service.

use std::io::Read as _;
use std::process::{Child, ChildStderr, Stdio};
use std::time::Instant;

use futures_util::future::join_all;
use galley_tests::command_output::run;
use galley_tests::json::id;
use galley_tests::program::{Signal, command, path_of};
use galley_tests::{
    RedisServer, StackBuilder, TestClient, TestProgram, TestStack, port, signed_token,
    test_database, until,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A `galley` with a standard error that the test controls; killed when dropped.
struct GalleyProcess {
    child: Child,
    client: TestClient,
    _folder: TempDir,
}

impl GalleyProcess {
    async fn start(log: &str) -> (Self, ChildStderr) {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("127.0.0.1:{}", port::free());
        let mut command = command(path_of("galley"));
        command.args(["--listen", &address, "--log", log]).current_dir(folder.path());
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = child.stderr.take().expect("it is piped");
        let client = TestClient::new(&format!("http://{address}"));
        until("a gateway", async || client.get("/readyz").try_send().await.ok()).await;
        (Self { child, client, _folder: folder }, stderr)
    }

    async fn lost(&self) -> u64 {
        self.client.metric("galley_log_lines_lost_total").await
    }

    /// Sends a request that is refused and logged.
    async fn knock(&self) {
        assert_eq!(
            self.client.get("/meals").header("origin", "http://evil.test").await.status,
            403
        );
    }
}

impl Drop for GalleyProcess {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

on_both_deployments!(every_change_by_staff_is_logged_with_its_name);
async fn every_change_by_staff_is_logged_with_its_name(stack: StackBuilder) {
    let stack = stack.with_tokens().delay("1h").start().await;
    let exp = signed_token::now() + 600;
    let of = |sub: &str| {
        let claims = json!({"role": "staff", "sub": sub, "exp": exp});
        stack.client().with_token(&signed_token::sign(signed_token::SECRET, &claims))
    };
    let (ada, eve) = (of("ada"), of("eve\u{1b}[2J"));
    let (hero, meal) = ada.create_hero_and_meal().await;
    let order = id(&stack.hero(hero).place(hero, meal).await);
    ada.get("/orders").await.is(200);
    eve.patch(&format!("/heroes/{hero}"), &json!({"planet": "Mars"})).await.is(200);
    eve.patch("/heroes/999", &json!({"planet": "Mars"})).await.problem(404, "hero-not-found");
    ada.connect_with("").await.reply(json!({"type": "cancel", "order_id": order})).await;
    let lines = async || {
        let log = stack.gateways[0].program.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let staff = lines.filter(|line| line["message"] == "staff changed something");
        let staff: Vec<Value> = staff.collect();
        (staff.len() >= 4).then_some(staff)
    };
    let lines = until("four changes", lines).await;
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (line["subject"].as_str(), line["change"].as_str(), line["span"]["path"].as_str())
        })
        .collect();
    let (path, cancel) = (format!("/heroes/{hero}"), format!("cancel order {order}"));
    assert_eq!(
        told[..3],
        [
            (Some("ada"), Some("201"), Some("/heroes")),
            (Some("ada"), Some("201"), Some("/meals")),
            (Some("eve·[2J"), Some("200"), Some(&*path)),
        ]
    );
    assert_eq!((told[3].0, told[3].1, told.len()), (Some("ada"), Some(&*cancel), 4));
}

fn is_json(line: &str) -> bool {
    serde_json::from_str::<Value>(line)
        .is_ok_and(|line| line["level"].is_string() && line["message"].is_string())
}

#[tokio::test]
async fn an_unknown_level_is_refused_and_the_known_ones_are_named() {
    for (rules, hint) in [
        ("warning", "did you mean `warn`?"),
        ("inof", "did you mean `info`?"),
        ("verbose", "`verbose` is not a level"),
        ("info,sqlx=loud", "`loud` is not a level"),
    ] {
        for program in ["galley", "galley-gateway", "galley-worker"] {
            let backends = [
                ("DATABASE_URL", "postgres://a@127.0.0.1:1/a"),
                ("REDIS_URL", "redis://127.0.0.1:1"),
            ];
            let said = run(program, &[], &[&backends[..], &[("GALLEY_LOG", rules)]].concat()).await;
            assert_eq!(
                (said.code, said.stderr.lines().count()),
                (2, 1),
                "{program} {rules}: {said:?}"
            );
            for part in [hint, "GALLEY_LOG", "off, error, warn, info, debug or trace"] {
                assert!(said.stderr.contains(part), "{program} {rules}: {said:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_line_of_a_log_in_json_is_json_up_to_the_reason_of_the_end() {
    let stack = TestStack::embedded().start().await;
    let (_folder, url) = test_database::sqlite();
    let taken = stack.gateways[0].url.trim_start_matches("http://");
    for format in ["json", "auto"] {
        let said =
            run("galley", &["--listen", taken, "--log-format", format], &[("DATABASE_URL", &url)])
                .await;
        let lines: Vec<&str> = said.stderr.lines().collect();
        assert!(said.code == 1 && lines.iter().all(|line| is_json(line)), "{said:?}");
        let (first, last) = (lines.first().expect("a line"), lines.last().expect("a line"));
        assert!(
            first.contains("\"auth\":\"none\"")
                && first.contains("galley.db")
                && first.contains("\"version\""),
            "{first}"
        );
        assert!(
            last.contains("cannot listen on") && last.contains("\"level\":\"ERROR\""),
            "{last}"
        );
    }
    for arguments in
        [&["--log", "inof"][..], &["--listen", "nowhere"], &["--listen", "0.0.0.0:0"], &["--dance"]]
    {
        let said =
            run("galley", arguments, &[("GALLEY_LOG_FORMAT", "json"), ("DATABASE_URL", &url)])
                .await;
        assert!(
            said.code == 2 && said.stderr.lines().count() == 1 && is_json(&said.stderr),
            "{arguments:?}: {said:?}"
        );
    }
}

#[tokio::test]
async fn a_program_names_what_it_starts_on_and_no_password() {
    let mut stack = TestStack::distributed().start().await;
    for program in programs(&mut stack) {
        let line = program.line("\"starting\"").await;
        assert!(line.contains("PostgreSQL at ") && line.contains("Redis at "), "{line}");
        assert!(!line.contains("secret") && !line.contains("://"), "{line}");
    }
}

#[tokio::test]
async fn a_closed_standard_error_ends_nothing() {
    let (galley, stderr) = GalleyProcess::start("info").await;
    drop(stderr);
    galley.knock().await;
    until("a lost line", async || (galley.lost().await > 0).then_some(())).await;
    assert_eq!(galley.client.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_log_that_nobody_reads_makes_nobody_wait_and_says_later_what_is_missing() {
    let (galley, mut stderr) = GalleyProcess::start("trace").await;
    until("a lost line", async || {
        for answer in join_all((0..50).map(|_| galley.client.get("/healthz").into_future())).await {
            assert_eq!(answer.status, 200);
        }
        (galley.lost().await > 0).then_some(())
    })
    .await;
    let read = tokio::task::spawn_blocking(move || {
        let (mut log, mut piece) = (String::new(), vec![0; 64 * 1024]);
        while !log.contains("lines of this log were lost") {
            let length = stderr.read(&mut piece).expect("a log");
            assert_ne!(length, 0, "the log ended before it said what is missing");
            log += &String::from_utf8_lossy(&piece[..length]);
        }
    });
    galley_tests::within("the line about lost lines", read).await.expect("no panic");
}

#[tokio::test]
async fn many_refusals_are_a_line_a_second() {
    let stack = TestStack::embedded().start().await;
    let client = stack.client();
    let began = Instant::now();
    for _ in 0..200 {
        assert_eq!(client.get("/meals").header("origin", "http://evil.test").await.status, 403);
    }
    assert!(client.metric("galley_refusals_total{cause=\"foreign-origin\"}").await >= 200);
    let log = stack.gateways[0].program.log();
    let most = usize::try_from(began.elapsed().as_secs()).expect("a short time") + 2;
    assert!((1..=most).contains(&log.matches("turned a caller away").count()), "{log}");
}

#[tokio::test]
async fn one_outage_of_redis_is_one_line_when_it_begins_and_one_when_it_ends() {
    let mut redis = RedisServer::start().await;
    let (mut stack, client, hero, meal) =
        TestStack::distributed().redis(redis.url()).delay("0s").start_with_hero_and_meal().await;
    stack.workers[0].line("the worker begins").await;
    redis.kill();
    for _ in 0..5 {
        let order = client.place(hero, meal).await;
        client.until_status(order["id"].as_i64().expect("an id"), "COMPLETED").await;
    }
    for program in programs(&mut stack) {
        program.line("cannot reach Redis; ").await;
    }
    redis.restart().await;
    for program in programs(&mut stack) {
        program.line("connected to Redis again").await;
        let log = program.log();
        assert_eq!(log.matches("cannot reach Redis; ").count(), 1, "{log}");
        assert!(
            ["Redis is", "bus is", "queue is"].iter().all(|other| !log.contains(other)),
            "another name for it: {log}"
        );
    }
}

fn programs(stack: &mut TestStack) -> impl Iterator<Item = &mut TestProgram> {
    stack.gateways.iter_mut().map(|gateway| &mut gateway.program).chain(&mut stack.workers)
}

#[tokio::test]
async fn a_hangup_without_a_terminal_ends_nothing() {
    let mut stack = TestStack::embedded().start().await;
    let program = &mut stack.gateways[0].program;
    program.signal(Signal::HUP);
    program.line("SIGHUP: reading secrets and certificates again").await;
    assert_eq!(stack.client().get("/readyz").await.status, 200);
    stack.gateways[0].program.stop().await;
}
