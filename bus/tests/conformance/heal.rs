//! What the bus on Redis survives. Each test breaks a server of its own.

use std::time::{Duration, Instant};

use crate::bus_stage::{
    BusStage, eventually, hear_a_gap_at_once, hear_gap, hear_updates, ids, order, take, update,
};

#[tokio::test]
async fn a_cut_subscription_hears_a_gap_and_then_goes_on() {
    let (server, stage) = BusStage::on_own_redis().await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    for id in 1..=3 {
        stage.bus.publish(&[update(id)], &[]).await.expect("a healthy bus");
        assert_eq!(hear_updates(&mut *subscription).await, [id]);
        server.command("CLIENT", &["KILL", "TYPE", "pubsub"]).await;
        hear_a_gap_at_once(&mut *subscription).await;
    }
    stage.bus.publish(&[update(4)], &[]).await.expect("a healthy bus");
    assert_eq!(hear_updates(&mut *subscription).await, [4]);
    eventually(async || stage.bus.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_missing_group_or_stream_is_made_again() {
    let (server, stage) = BusStage::on_own_redis().await;
    let (stream, _) = stage.names();
    let mut queue = stage.queue(1).await;
    let breaks: [(&str, &[&str]); 3] =
        [("XGROUP", &["DESTROY", &stream, "workers"]), ("DEL", &[&stream]), ("FLUSHALL", &[])];
    for (id, (command, arguments)) in (1..).zip(breaks) {
        let (entries, ()) = tokio::join!(take(&mut *queue, 1), async {
            eventually(async || {
                server.calls("xreadgroup").await
                    >= 2 * u64::try_from(id).expect("it is positive") - 1
            })
            .await;
            server.command(command, arguments).await;
            stage.bus.publish(&[], &[order(id)]).await.expect("a healthy bus");
        });
        assert_eq!(ids(&entries), [id], "after {command}");
        queue.settle(&entries, &[]).await.expect("a healthy bus");
    }
    let (made, read) = (server.calls("xgroup|create").await, server.calls("xreadgroup").await);
    assert!(made <= 5 && read <= 20, "{made} groups were made, {read} reads");
}

#[tokio::test]
async fn a_group_that_goes_on_missing_makes_no_hot_loop() {
    let (server, stage) = BusStage::on_own_redis().await;
    let (stream, _) = stage.names();
    let mut queue = stage.queue(1).await;
    let began = Instant::now();
    let breaking = async {
        while began.elapsed() < Duration::from_secs(2) {
            server.command("XGROUP", &["DESTROY", &stream, "workers"]).await;
        }
    };
    let reading = async {
        loop {
            assert_eq!(queue.next(10).await.unwrap_or_default(), []);
        }
    };
    tokio::select! {
        () = breaking => {}
        () = reading => {}
    }
    let (made, read) = (server.calls("xgroup|create").await, server.calls("xreadgroup").await);
    assert!(made <= 12 && read <= 12, "{made} groups were made, {read} reads");
}

#[tokio::test]
async fn a_bus_without_redis_fails_at_once_and_recovers() {
    let (mut server, stage) = BusStage::on_own_redis().await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let mut queue = stage.queue(1).await;
    server.kill();
    eventually(async || stage.bus.ping().await.is_err()).await;
    let began = Instant::now();
    for id in 1..=100 {
        stage.bus.ping().await.expect_err("Redis is gone");
        stage.bus.publish(&[update(id)], &[order(id)]).await.expect_err("Redis is gone");
        stage.bus.subscribe().await.map(drop).expect_err("Redis is gone");
    }
    queue.next(1).await.expect_err("Redis is gone");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    server.restart();
    eventually(async || stage.bus.ping().await.is_ok()).await;
    hear_gap(&mut *subscription).await;
    stage.bus.publish(&[update(200)], &[order(200)]).await.expect("a healthy bus");
    assert_eq!(hear_updates(&mut *subscription).await, [200]);
    assert_eq!(ids(&take(&mut *queue, 1).await), [200]);
}

#[tokio::test]
async fn a_frozen_redis_costs_one_time_out() {
    let (server, stage) = BusStage::on_own_redis().await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let mut queue = stage.queue(1).await;
    server.freeze(true);
    let began = Instant::now();
    for _ in 0..100 {
        stage.bus.ping().await.expect_err("Redis is frozen");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    queue.next(1).await.expect_err("Redis is frozen");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    server.freeze(false);
    eventually(async || stage.bus.publish(&[update(1)], &[order(1)]).await.is_ok()).await;
    assert_eq!(hear_updates(&mut *subscription).await, [1]);
    assert_eq!(ids(&take(&mut *queue, 1).await), [1]);
}

#[tokio::test]
async fn an_update_that_could_not_be_published_is_a_gap_for_those_who_listen() {
    let (server, stage) = BusStage::on_own_redis().await;
    let listener = stage.another_bus().await;
    let mut subscription = listener.subscribe().await.expect("a healthy bus");
    server.command("CLIENT", &["KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    stage.bus.publish(&[update(1)], &[]).await.expect_err("its connection was cut");
    hear_a_gap_at_once(&mut *subscription).await;
}

#[tokio::test]
async fn a_subscription_through_which_nothing_comes_is_made_again() {
    let (server, stage) = BusStage::on_own_redis().await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    // The connection lives and answers, but nothing is published any more, not even this process's
    // own heartbeat.
    server.command("ACL", &["SETUSER", "default", "-publish"]).await;
    eventually(async || stage.bus.ping().await.is_err()).await;
    server.command("ACL", &["SETUSER", "default", "+publish"]).await;
    hear_a_gap_at_once(&mut *subscription).await;
    eventually(async || stage.bus.ping().await.is_ok()).await;
    stage.bus.publish(&[update(1)], &[]).await.expect("a healthy bus");
    assert_eq!(hear_updates(&mut *subscription).await, [1]);
}

#[tokio::test]
async fn a_last_update_that_never_came_is_a_gap() {
    let (server, stage) = BusStage::on_own_redis().await;
    let mut subscription = stage.bus.subscribe().await.expect("a healthy bus");
    let channel = stage.names().1;
    let beat = async |number: &str| {
        let signed = stage.sign(format!("galley3-beat 7 {number} -").as_bytes());
        server.command("PUBLISH", &[&channel, std::str::from_utf8(&signed).expect("text")]).await
    };
    beat("0").await;
    stage.bus.publish(&[update(1)], &[]).await.expect("a healthy bus");
    assert_eq!(hear_updates(&mut *subscription).await, [1]);
    beat("1").await;
    hear_a_gap_at_once(&mut *subscription).await;
}
