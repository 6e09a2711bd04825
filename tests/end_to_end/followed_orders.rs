//! One order is followed from the click to the frame: its trace leads through every process, in a
//! real collector. Traces that nobody asked for cost nothing, and a collector that is away is not
//! missed.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use galley_tests::command_output::run;
use galley_tests::json::{id, text};
use galley_tests::tls_front::TlsFront;
use galley_tests::trace_collector::CollectedSpan;
use galley_tests::{
    StackBuilder, TestAuthority, TestClient, TestSocket, TestStack, TraceCollector, until,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The steps of a completed order after its request, the last first.
const STEPS: [&str; 5] = ["push", "complete", "prepare", "claim", "batch of placements"];

/// The trace of a click with this number.
fn trace(click: u8) -> String {
    format!("{click:02x}f7651916cd43dd8448eb211c80319c")
}

/// The `traceparent` of a click.
fn click(click: u8, flags: &str) -> String {
    format!("00-{}-c11c6b71692033{click:02x}-{flags}", trace(click))
}

/// A stack that exports the traces that callers ask for, and logs everything.
fn traced(stack: StackBuilder, endpoint: &str) -> StackBuilder {
    stack
        .set("GALLEY_OTLP_ENDPOINT", endpoint)
        .set("GALLEY_TRACE_RATIO", "0")
        .set("GALLEY_LOG", "info,galley_gateway=debug,galley_worker=debug")
}

/// Places an order by REST with this `traceparent`.
async fn place(client: &TestClient, hero: i64, meal: i64, traceparent: &str) {
    let call = client.place_call(hero, meal).header("traceparent", traceparent);
    call.await.is(202);
}

/// Checks the whole trace of a click that placed an order; `request` is the name of its request.
async fn followed(collector: &TraceCollector, number: u8, request: &str) {
    let steps = collector.steps_to(&trace(number), "push", "COMPLETED").await;
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, [&STEPS[..], &[request]].concat(), "{steps:?}");
    assert!(click(number, "01").contains(&steps[5].cause), "{steps:?}");
    for pair in steps.windows(2) {
        assert!(pair[0].began >= pair[1].began && pair[0].ended >= pair[0].began, "{steps:?}");
    }
    let (commit, claim) = (&steps[4], &steps[3]);
    assert!(commit.links.contains(&steps[5].id) && claim.links.contains(&commit.id), "{steps:?}");
    assert_eq!(claim.attributes["galley.order.id"], steps[0].attributes["galley.order.id"]);
    let pending = collector.steps_to(&trace(number), "push", "PENDING").await;
    assert_eq!(pending[1], *commit, "an update belongs to the step that made it");
}

on_both_deployments!(an_order_is_followed_from_the_click_to_the_frame);
async fn an_order_is_followed_from_the_click_to_the_frame(stack: StackBuilder) {
    let collector = TraceCollector::start().await;
    let stack = traced(stack, &collector.endpoint()).delay("50ms");
    let (stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    // Neither of them asks for a trace.
    place(&client, hero, meal, &click(8, "00")).await;
    place(&client, hero, meal, "00-nonsense-01").await;
    place(&client, hero, meal, &click(1, "01")).await;
    followed(&collector, 1, "POST /orders").await;
    let command = json!({"type": "place", "meal_id": meal, "traceparent": click(2, "01")});
    socket.reply(command).await;
    followed(&collector, 2, "place").await;
    // A person who types commands names the span once, at the handshake.
    let mut handshake = client.handshake(&format!("?hero_id={hero}"));
    let named = click(3, "01").parse().expect("a header");
    handshake.headers_mut().insert("traceparent", named);
    let mut typing = TestSocket::open(handshake).await.expect("a socket");
    typing.say(&format!("order {meal}")).await;
    followed(&collector, 3, "place").await;

    let spans = collector.spans();
    assert!(spans.iter().all(|span| [1, 2, 3].map(trace).contains(&span.trace)), "{spans:?}");
    let service = |name| spans.iter().find(|span| span.name == name).map(|span| &*span.service);
    let gateway = &stack.gateways[0].program;
    let (worker, services) = match stack.workers.first() {
        Some(worker) => (worker, ["galley-gateway", "galley-worker"]),
        None => (gateway, ["galley"; 2]),
    };
    assert_eq!(["POST /orders", "claim"].map(service), services.map(Some));
    for (program, number) in [(gateway, 1), (gateway, 2), (worker, 1)] {
        let named = format!("\"trace_id\":\"{}\"", trace(number));
        assert!(program.log().contains(&named), "{named}: {}", program.log());
    }
}

#[tokio::test]
async fn the_requests_of_one_commit_are_linked() {
    let collector = TraceCollector::start().await;
    let stack = traced(TestStack::embedded(), &collector.endpoint()).delay("0s");
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let clicks: Vec<String> = (0..8).map(|number| click(number, "01")).collect();
    join_all(clicks.iter().map(|click| place(&client, hero, meal, click))).await;
    let is_shared =
        |span: &CollectedSpan| span.name == "batch of placements" && span.links.len() > 1;
    let commit = collector.until("a commit of several requests", is_shared).await;
    for link in &commit.links {
        let request = collector.until("a linked request", |span| span.id == *link).await;
        assert_eq!(request.name, "POST /orders");
    }
    assert_ne!(commit.attributes["messaging.batch.message_count"], "Int(1)");
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_nothing_and_what_it_misses_is_counted() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("it is bound"));
    let stack = traced(TestStack::embedded(), &endpoint).set("GALLEY_TRACE_RATIO", "1");
    // A line of the log for each request would slow the flood down.
    let stack = stack.set("GALLEY_LOG", "info").delay("0s");
    let (mut stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    // Each batch that the collector does not take frees a part of the queue after five seconds, so
    // the flood goes on until the queue was full. An order has more spans than a list.
    let flood = join_all((0..8).map(async |_| {
        loop {
            client.place_call(hero, meal).await.is(202);
        }
    }));
    let counted = async |reason: &str| {
        let dropped = format!("galley_spans_dropped_total{{reason=\"{reason}\"}}");
        let is_counted = async || (client.metric(&dropped).await > 0).then_some(());
        until(&dropped, is_counted).await;
    };
    tokio::select! {
        _ = flood => unreachable!("it has no end"),
        () = counted("queue") => {}
    }
    client.place_until(hero, meal, "COMPLETED").await;
    counted("collector").await;
    let stopping = Instant::now();
    stack.gateways[0].program.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(8), "{:?}", stopping.elapsed());
    let log = stack.gateways[0].program.log();
    assert_eq!(log.matches("cannot export traces").count(), 1, "{log}");
    assert!(log.contains("the last spans were not exported in time"), "{log}");
}

#[tokio::test]
async fn callers_that_demand_more_traces_than_they_may_are_served_without() {
    let collector = TraceCollector::start().await;
    let stack = traced(TestStack::embedded(), &collector.endpoint()).delay("1h");
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let clicks =
        |from: u8| join_all((from..from + 100).map(|number| place_at(&client, hero, meal, number)));
    let (began, refused) = (Instant::now(), "galley_traces_refused_total");
    clicks(0).await;
    clicks(100).await;
    let refused = client.metric(refused).await;
    // A hundred at once, and ten a second.
    let allowed = 101 + began.elapsed().as_secs() * 10 + 10;
    assert!(refused >= 200_u64.saturating_sub(allowed) && refused > 0, "{refused} of 200");
    let exported = async || {
        let exported = client.metric("galley_spans_exported_total").await;
        (exported >= 2 * (200 - refused)).then_some(())
    };
    until("the spans of the others", exported).await;
}

async fn place_at(client: &TestClient, hero: i64, meal: i64, number: u8) {
    place(client, hero, meal, &click(number, "01")).await;
}

#[tokio::test]
async fn a_problem_names_its_request_and_its_trace() {
    let collector = TraceCollector::start().await;
    let stack = traced(TestStack::embedded(), &collector.endpoint());
    let (_stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let call = client.get("/orders/7654321").header("x-request-id", "my-click");
    let answer = call.header("traceparent", &click(1, "01")).await;
    let problem = answer.problem(404, "order-not-found");
    assert_eq!(
        (text(&problem, "instance"), text(&problem, "trace_id")),
        ("/requests/my-click", &*trace(1))
    );
    let answer = client.get("/nothing").await;
    let instance = format!("/requests/{}", answer.header("x-request-id"));
    let problem = answer.problem(404, "not-found");
    assert!(text(&problem, "instance") == instance && problem["trace_id"].is_null(), "{problem}");
    let mut socket = client.connect(hero).await;
    let command = json!({"type": "place", "meal_id": 7_654_321, "traceparent": click(2, "01")});
    let problem = socket.problem(command).await;
    assert!(text(&problem, "trace_id") == trace(2) && problem["instance"].is_null(), "{problem}");
    let request = collector.until("the request", |span| span.trace == trace(1)).await;
    assert_eq!(request.attributes["galley.request.id"], "Str(my-click)");
    assert_eq!(request.attributes["http.response.status_code"], "Int(404)");
}

#[tokio::test]
async fn traces_go_over_tls_and_a_share_of_them_without_being_asked_for() {
    let (collector, authority) = (TraceCollector::start().await, TestAuthority::new());
    let front = TlsFront::start(&authority.server(&["localhost"]), collector.port()).await;
    let stack = TestStack::embedded()
        .set("GALLEY_OTLP_ENDPOINT", &format!("https://localhost:{}/", front.port()))
        .set("GALLEY_TRACE_RATIO", "1")
        .set("SSL_CERT_FILE", &authority.certificate().display().to_string());
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let order = id(&client.place(hero, meal).await);
    let claim = collector.until("the claim", |span| span.name == "claim").await;
    assert_eq!(claim.attributes["galley.order.id"], format!("Int({order})"));
}

#[tokio::test]
async fn the_collector_gets_the_headers_that_are_set_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("headers");
    std::fs::write(&file, "x-tenant=7,x-key=a%20b\n").expect("a file");
    let stack = TestStack::embedded()
        .set("GALLEY_OTLP_ENDPOINT", &format!("http://user:word@{address}/otlp"))
        .set("GALLEY_OTLP_HEADERS_FILE", &file.display().to_string())
        .set("GALLEY_TRACE_RATIO", "1");
    let (_stack, _client, ..) = stack.start_with_hero_and_meal().await;
    let (mut connection, _) = listener.accept().await.expect("a connection");
    let mut head = vec![0; 4_096];
    let length = connection.read(&mut head).await.expect("a request");
    drop(connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await);
    let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
    for part in [
        "post /otlp/v1/traces http/1.1\r\n",
        "content-type: application/x-protobuf\r\n",
        "authorization: basic dxnlcjp3b3jk\r\n",
        "x-tenant: 7\r\n",
        "x-key: a b\r\n",
    ] {
        assert!(head.contains(part), "{part}: {head}");
    }
}

#[tokio::test]
async fn a_bad_setting_of_traces_ends_the_start_and_no_secret_is_shown() {
    let backends =
        [("DATABASE_URL", "postgres://a@127.0.0.1:1/a"), ("REDIS_URL", "redis://127.0.0.1:1")];
    let endpoint = ("GALLEY_OTLP_ENDPOINT", "http://user:hush@localhost:4318");
    for (variable, value) in [
        ("GALLEY_OTLP_ENDPOINT", "localhost:4318/hush"),
        ("GALLEY_OTLP_ENDPOINT", "grpc://user:hush@localhost:4317"),
        ("GALLEY_OTLP_HEADERS", "hush"),
        ("GALLEY_TRACE_RATIO", "1%"),
    ] {
        for program in ["galley", "galley-gateway", "galley-worker"] {
            for arguments in [&[][..], &["--check"]] {
                let settings = [&backends[..], &[endpoint, (variable, value)]].concat();
                let said = run(program, arguments, &settings).await;
                let is_one_line =
                    said.stderr.lines().count() == 1 && said.stderr.contains(variable);
                assert!(said.code == 2 && is_one_line, "{program} {variable}: {said:?}");
                assert!(!said.stderr.contains("hush"), "{program} {variable}: {said:?}");
            }
        }
    }
    let settings =
        [endpoint, ("GALLEY_OTLP_HEADERS", "x=hush"), ("DATABASE_URL", "sqlite:///proc/none/a.db")];
    let said = run("galley", &["--check"], &settings).await;
    assert!(said.stdout.contains("(GALLEY_OTLP_ENDPOINT)"), "{said:?}");
    assert!(!said.stdout.contains("hush") && !said.stderr.contains("hush"), "{said:?}");
}
