//! The state of the service for the people who keep it running: `GET /operations`.

use galley_tests::json::id;
use galley_tests::proxy::Ways;
use galley_tests::{MessageSigner, RedisServer, StackBuilder, TestClient, TestStack, until};
use serde_json::Value;

/// Waits until the report of a gateway fulfils an expectation, and returns it.
async fn seen(client: &TestClient, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    until(what, async || {
        Some(client.get("/operations").await.is(200)).filter(|report| fits(report))
    })
    .await
}

/// Returns the processes with this part in their report.
fn with<'a>(report: &'a Value, role: &str) -> Vec<&'a Value> {
    let processes = report["processes"].as_array().expect("processes");
    processes.iter().filter(|process| process["report"][role].is_object()).collect()
}

fn of_pid(report: &Value, pid: u32) -> &Value {
    let processes = report["processes"].as_array().expect("processes");
    processes.iter().find(|process| process["report"]["pid"] == pid).expect("the process is listed")
}

/// Returns the sum of a count over the known seconds.
fn sum(report: &Value, count: &str) -> u64 {
    let history = report["history"].as_array().expect("a history");
    history.iter().map(|second| second[count].as_u64().expect("a count")).sum()
}

fn seconds(report: &Value) -> Vec<i64> {
    let history = report["history"].as_array().expect("a history");
    history.iter().map(|second| second["at"].as_i64().expect("a second")).collect()
}

#[tokio::test]
async fn every_process_is_listed_and_a_killed_worker_is_dead_and_its_orders_are_taken_over() {
    let stack = TestStack::distributed().gateways(2).workers(2).delay("1h");
    let (mut stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let other = stack.client_of(1);
    let order = id(&client.place(hero, meal).await);
    client.until_status(order, "IN_PROGRESS").await;
    let report = seen(&other, "all processes, one of which prepares", |report| {
        let preparing = |worker: &&Value| worker["report"]["worker"]["preparing"] == 1;
        let workers = with(report, "worker");
        with(report, "gateway").len() == 2 && workers.len() == 2 && workers.iter().any(preparing)
    })
    .await;
    for process in report["processes"].as_array().expect("processes") {
        assert_eq!((&process["state"], process["heard_ms"].is_u64()), (&"heard".into(), true));
        assert_eq!(process["report"]["version"], env!("CARGO_PKG_VERSION"), "{process}");
    }
    let answering = of_pid(&report, stack.gateways[1].program.pid());
    assert_eq!((&report["gateway"], &report["status"]), (&answering["id"], &"ready".into()));
    assert_eq!(
        (&report["orders"]["IN_PROGRESS"], &report["oldest_pending_ms"]),
        (&1.into(), &0.into())
    );
    // Redis cannot always say how many entries wait.
    assert_eq!(report["queue"]["waiting"].as_u64().unwrap_or_default(), 0, "{report}");
    assert_eq!(report["queue"]["delivered"], 0, "{report}");

    let prepares = |pid| of_pid(&report, pid)["report"]["worker"]["preparing"] == 1;
    let killed = stack.workers.iter_mut().find(|worker| prepares(worker.pid())).expect("one");
    let pid = killed.pid();
    killed.kill();
    let report = seen(&other, "a dead worker", |report| {
        let adopts = |worker: &&Value| worker["report"]["worker"]["adopted"] == 1;
        of_pid(report, pid)["state"] == "dead" && with(report, "worker").iter().any(adopts)
    })
    .await;
    assert!(of_pid(&report, pid)["heard_ms"].as_u64().is_some_and(|age| age >= 4_000), "{report}");
    let repaired = |report: &Value| {
        let own = of_pid(report, stack.gateways[1].program.pid());
        own["report"]["gateway"]["repairs"]["died"].as_u64().is_some_and(|count| count >= 1)
    };
    seen(&other, "a repair because a process died", repaired).await;
}

on_both_deployments!(a_process_tells_its_sockets_and_its_work);
async fn a_process_tells_its_sockets_and_its_work(stack: StackBuilder) {
    let (stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let _sockets = (client.connect(hero).await, client.connect_with("").await);
    let _stream = client.listen(&format!("/heroes/{hero}/events")).await;
    for _ in 0..3 {
        client.place_until(hero, meal, "COMPLETED").await;
    }
    let report = seen(&client, "three orders of one worker and three sockets", |report| {
        let ([gateway], [worker]) = (&with(report, "gateway")[..], &with(report, "worker")[..])
        else {
            return false;
        };
        let (gateway, worker) = (&gateway["report"]["gateway"], &worker["report"]["worker"]);
        let work = ["claimed", "completed", "claimed_last_minute", "completed_last_minute"];
        work.iter().all(|count| worker[count] == 3)
            && (&gateway["hero_sockets"], &gateway["staff_sockets"]) == (&2.into(), &1.into())
            && (&gateway["event_streams"], &gateway["deaf"]) == (&1.into(), &false.into())
    })
    .await;
    let processes = 1 + stack.workers.len();
    assert_eq!(report["processes"].as_array().map(Vec::len), Some(processes), "{report}");
    assert_eq!(client.get("/operations").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_process_that_stops_in_order_has_left() {
    let mut stack = TestStack::distributed().workers(1).start().await;
    let (client, pid) = (stack.client(), stack.workers[0].pid());
    seen(&client, "a worker", |report| with(report, "worker").len() == 1).await;
    stack.workers[0].stop().await;
    seen(&client, "a worker that left", |report| of_pid(report, pid)["state"] == "left").await;
}

#[tokio::test]
async fn only_staff_is_told() {
    let stack = TestStack::embedded().with_tokens();
    let (stack, staff, hero, _) = stack.start_with_hero_and_meal().await;
    assert_eq!(staff.get("/operations").await.is(200)["status"], "ready");
    staff.get("/operations?history=no").await.problem(400, "invalid-parameter");
    stack.hero(hero).get("/operations").await.problem(403, "forbidden");
    stack.client().get("/operations").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn every_gateway_keeps_the_history_of_the_whole_service() {
    let stack = TestStack::distributed().gateways(2).delay("0s");
    let (stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let other = stack.client_of(1);
    // The second in which a gateway begins to listen is not shown.
    seen(&other, "a known second", |report| !seconds(report).is_empty()).await;
    seen(&client, "a known second", |report| !seconds(report).is_empty()).await;
    for _ in 0..5 {
        client.place(hero, meal).await;
    }
    for gateway in [&client, &other] {
        let report = seen(gateway, "five orders", |report| {
            (sum(report, "placed"), sum(report, "completed")) == (5, 5)
        })
        .await;
        let history = report["history"].as_array().expect("a history");
        let timed = |second: &&Value| second["completed"].as_u64() > Some(0);
        let timed = history.iter().find(timed).expect("a second with an end");
        assert!(timed["total_ms"].as_u64() <= timed["total_p95_ms"].as_u64(), "{timed}");
        assert!(timed["wait_ms"].as_u64() <= timed["total_ms"].as_u64(), "{timed}");
        assert!(report["rates"]["placed"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
    }
}

#[tokio::test]
async fn a_time_in_which_the_gateway_is_deaf_is_missing_from_the_history_and_not_zero() {
    let (redis, proxy) = RedisServer::behind_proxy().await;
    let mut stack = TestStack::distributed().redis(redis.url()).start().await;
    stack.set("REDIS_URL", &format!("redis://127.0.0.1:{}", proxy.port()));
    let (hearing, client) = (stack.client(), stack.start_gateway().await);
    let before = seen(&client, "known seconds", |report| seconds(report).len() >= 2).await;
    proxy.stall(Ways { to_server: true, to_clients: true });
    seen(&client, "a deaf gateway", |report| report["status"] == "deaf").await;
    let own = stack.gateways[1].program.pid();
    seen(&hearing, "a gateway that is not heard", |report| {
        of_pid(report, own)["state"] == "unheard"
    })
    .await;
    proxy.stall(Ways::default());
    let deaf = seconds(&before).last().expect("a known second") + 3;
    let report = seen(&client, "a known second after it", |report| {
        report["status"] == "ready" && seconds(report).last() > Some(&deaf)
    })
    .await;
    assert!(!seconds(&report).contains(&deaf), "{report}");
    let lives = |report: &Value| of_pid(report, own)["state"] == "heard";
    seen(&hearing, "a gateway that is heard again", lives).await;
}

#[tokio::test]
async fn a_process_of_another_version_is_listed_whatever_it_tells_of_itself() {
    const NEWER: &str = r#"{"version":"9.9","host":"a","pid":7,"uptime_seconds":1,"cook":{}}"#;
    let stack = TestStack::distributed().workers(0).start().await;
    let (client, mut queue) = (stack.client(), stack.dispatch_queue().await);
    let channel = queue.channel().to_owned();
    let signer = MessageSigner::of(stack.database_url()).await;
    let beats = ["galley3-beat 7 0 -".to_owned(), format!("galley3-beat 8 0 - more {NEWER}")];
    let named = |report: &Value, name: i32| {
        let processes = report["processes"].as_array().expect("processes").iter();
        processes.into_iter().find(|process| process["id"] == name).cloned()
    };
    let report = until("both", async || {
        for beat in &beats {
            queue.publish(&signer.sign(&channel, beat)).await;
        }
        let report = client.get("/operations").await.is(200);
        (named(&report, 7).is_some() && named(&report, 8).is_some()).then_some(report)
    })
    .await;
    let [older, newer] = [7, 8].map(|name| named(&report, name).expect("listed"));
    assert_eq!((&older["state"], older.get("report")), (&"heard".into(), None), "{older}");
    assert_eq!(newer["report"]["version"], "9.9", "{newer}");
}
