//! Redis behind Sentinels: a failover is followed, and nothing stops meanwhile.

use galley_tests::json::id;
use galley_tests::redis_sentinels::RedisSentinels;
use galley_tests::{TestStack, until};

#[tokio::test]
async fn after_the_master_dies_orders_go_on_and_sockets_receive_updates_again() {
    let mut redis = RedisSentinels::start().await;
    let stack = TestStack::distributed().redis(redis.url()).delay("50ms");
    let (mut stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let before = id(&client.place(hero, meal).await);
    socket.until_status(before, "COMPLETED").await;

    redis.master.kill();
    let meanwhile = id(&client.place(hero, meal).await);
    until("the order is completed without Redis", async || {
        (client.order(meanwhile).await["status"] == "COMPLETED").then_some(())
    })
    .await;
    socket.until_status(meanwhile, "COMPLETED").await;
    until("the gateway receives updates from the new master", async || {
        let replication: String = redis.replica.ask(&["INFO", "replication"]).await;
        let channels: Vec<String> = redis.replica.ask(&["PUBSUB", "CHANNELS"]).await;
        let is_master = replication.contains("role:master");
        let is_ready = client.get("/readyz").await.status == 200;
        let hears = client.metric("galley_bus_deaf").await == 0 && !channels.is_empty();
        (is_master && is_ready && hears).then_some(())
    })
    .await;

    let after = id(&client.place(hero, meal).await);
    socket.until_status(after, "COMPLETED").await;
    let late = stack.start_gateway().await;
    let mut other = late.connect(hero).await;
    let last = id(&client.place(hero, meal).await);
    other.until_status(last, "COMPLETED").await;
    let streams: i64 = redis.replica.ask(&["DBSIZE"]).await;
    assert_eq!(streams, 1, "the entries are on the new master");
}
