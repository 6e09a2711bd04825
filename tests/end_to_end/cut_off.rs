//! Processes that live and commit but cannot reach Redis, for far longer than the time-out of a
//! heartbeat: their changes arrive within the promised time, also at clients that resume.

use std::time::{Duration, Instant};

use galley_protocol::Status;
use galley_tests::json::id;
use galley_tests::proxy::Ways;
use galley_tests::{Follower, Proxy, RedisServer, TestClient, TestStack, Truth, within};

/// The longest time from a commit to its push, whichever process is cut off.
const PROMISED: Duration = Duration::from_secs(10);
/// The time without Redis: three times the silence after which a publisher counts as gone.
const CUT_OFF: Duration = Duration::from_secs(12);
const BOTH_WAYS: Ways = Ways { to_server: true, to_clients: true };

/// Places an order at a gateway, and waits for its end.
async fn place(client: &TestClient, (hero, meal): (i64, i64)) -> i64 {
    id(&client.place(hero, meal).await)
}

/// Reads frames until the order has this status. Returns the time that it took.
async fn until_told(follower: &mut Follower, order: i64, status: Status) -> Duration {
    let began = Instant::now();
    within("a frame", async {
        while follower.view.status_of(order) != Some(status) {
            follower.next().await.expect("the socket stays open");
        }
    })
    .await;
    began.elapsed()
}

/// Follows a new hero at one gateway, and places a first order at another, until it has this
/// status.
async fn follow(
    hearing: &TestClient,
    placing: &TestClient,
    status: Status,
) -> ((i64, i64), Follower, i64) {
    let hero_and_meal = hearing.create_hero_and_meal().await;
    let mut follower = Follower::open(hearing.base(), hero_and_meal.0, None).await;
    let order = place(placing, hero_and_meal).await;
    until_told(&mut follower, order, status).await;
    (hero_and_meal, follower, order)
}

/// Cuts the connections through the proxy. Returns the last cursor of before, and the time.
fn cut(proxy: &Proxy, follower: &Follower) -> (String, Instant) {
    let before = follower.view.cursor().expect("a frame has told one").to_owned();
    proxy.stall(BOTH_WAYS);
    (before, Instant::now())
}

/// Starts a stack whose only worker reaches Redis through a proxy.
pub async fn with_a_worker_behind_a_proxy(delay: &str) -> (RedisServer, Proxy, TestStack) {
    let (redis, proxy) = RedisServer::behind_proxy().await;
    let stack = TestStack::distributed().redis(redis.url()).workers(0).delay(delay);
    let mut stack = stack.start().await;
    stack.set("REDIS_URL", &format!("redis://127.0.0.1:{}", proxy.port()));
    stack.start_worker();
    (redis, proxy, stack)
}

fn keeps_the_promise(took: Duration) {
    assert!(took <= PROMISED, "told after {took:?}");
}

#[tokio::test]
async fn what_a_worker_ends_is_told_in_time_though_it_cannot_reach_redis() {
    let (_redis, proxy, stack) = with_a_worker_behind_a_proxy("50ms").await;
    let client = stack.client();
    let (hero_and_meal, mut kept, first) = follow(&client, &client, Status::Completed).await;

    let (before, cut) = cut(&proxy, &kept);
    while cut.elapsed() < CUT_OFF {
        let order = place(&client, hero_and_meal).await;
        // The order is claimed from the database, and ends soon.
        client.until_status(order, "COMPLETED").await;
        keeps_the_promise(until_told(&mut kept, order, Status::Completed).await);
    }
    let last = kept.view.cursor().expect("a frame has told one").to_owned();
    assert_eq!(client.metric("galley_unheard_publishers").await, 1);
    proxy.stall(Ways::default());

    let order = place(&client, hero_and_meal).await;
    keeps_the_promise(until_told(&mut kept, order, Status::Completed).await);
    let truth = Truth::settled(&client, &[hero_and_meal.0]).await;
    assert_eq!(kept.view.difference(&truth), None);
    for cursor in [&before, &last] {
        let resumed = Follower::open(client.base(), hero_and_meal.0, Some(cursor)).await;
        let orders = truth.of(hero_and_meal.0).keys().map(|order| order.get());
        for order in orders.filter(|order| *order > first && cursor == &before) {
            assert!(
                resumed.view.status_of(order).is_some(),
                "order {order} was not told to one that came back"
            );
        }
    }
    assert_eq!(kept.view.resyncs, 0, "the socket kept up");
}

#[tokio::test]
async fn what_a_gateway_cancels_is_pushed_by_the_others_in_time_though_it_cannot_reach_redis() {
    let (redis, proxy) = RedisServer::behind_proxy().await;
    let mut stack = TestStack::distributed().redis(redis.url()).workers(0).start().await;
    stack.set("REDIS_URL", &format!("redis://127.0.0.1:{}", proxy.port()));
    let (hearing, cut_off) = (stack.client(), stack.start_gateway().await);
    let (hero_and_meal, mut kept, first) = follow(&hearing, &cut_off, Status::Pending).await;
    let (before, cut) = cut(&proxy, &kept);
    while cut.elapsed() < CUT_OFF {
        let order = place(&hearing, hero_and_meal).await;
        cut_off.cancel(order).await.is(200);
        keeps_the_promise(until_told(&mut kept, order, Status::Cancelled).await);
    }
    proxy.stall(Ways::default());

    let order = place(&hearing, hero_and_meal).await;
    cut_off.cancel(order).await.is(200);
    keeps_the_promise(until_told(&mut kept, order, Status::Cancelled).await);
    cut_off.cancel(first).await.is(200);
    keeps_the_promise(until_told(&mut kept, first, Status::Cancelled).await);
    let truth = Truth::settled(&hearing, &[hero_and_meal.0]).await;
    assert_eq!(kept.view.difference(&truth), None);
    let resumed = Follower::open(hearing.base(), hero_and_meal.0, Some(&before)).await;
    for order in truth.of(hero_and_meal.0).keys() {
        let told = resumed.view.status_of(order.get());
        assert_eq!(told, Some(Status::Cancelled), "order {order} to one that came back");
    }
}

#[tokio::test]
async fn processes_follow_the_name_of_redis_when_its_server_becomes_a_replica() {
    let (old, new) = (RedisServer::start().await, RedisServer::start().await);
    let proxy = Proxy::start(old.port).await;
    let builder = TestStack::distributed().redis(old.url()).gateways(0).workers(0).delay("50ms");
    let mut stack = builder.start().await;
    stack.set("REDIS_URL", &format!("redis://127.0.0.1:{}", proxy.port()));
    let before = stack.start_gateway().await;
    stack.start_worker();
    let (hero_and_meal, mut kept, _) = follow(&before, &before, Status::Completed).await;

    // The connections to the old server stay open: only the processes themselves close them.
    let port = new.port.to_string();
    old.ask::<String>(&["REPLICAOF", "127.0.0.1", &port]).await;
    proxy.redirect(new.port);
    let after = stack.start_gateway().await;
    let mut late = Follower::open(after.base(), hero_and_meal.0, None).await;
    for _ in 0..3 {
        let order = place(&before, hero_and_meal).await;
        for follower in [&mut kept, &mut late] {
            keeps_the_promise(until_told(follower, order, Status::Completed).await);
        }
    }
    galley_tests::until("nobody is left at the old server", async || {
        let clients: String = old.ask(&["CLIENT", "LIST", "TYPE", "normal"]).await;
        let subscribers: String = old.ask(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
        // The client that asks is in the list as well.
        (clients.lines().count() <= 1 && subscribers.is_empty()).then_some(())
    })
    .await;
    let channels: Vec<String> = new.ask(&["PUBSUB", "CHANNELS"]).await;
    let [channel] = &channels[..] else { panic!("{channels:?}") };
    let (_, gateways): (String, usize) = new.ask(&["PUBSUB", "NUMSUB", channel]).await;
    assert_eq!(gateways, 2);
}
