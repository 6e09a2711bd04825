//! A silent node of a Redis Cluster delays only its own shards, and those only until its replica is
//! promoted.

use std::time::{Duration, Instant};

use galley_protocol::Status;
use galley_tests::json::id;
use galley_tests::{Follower, RedisCluster, TestStack, within};

/// The longest time until updates arrive again: the other nodes take a silent one for dead after 2
/// s and elect its replica; the remainder is for the election and the gateways.
const HEARING_AGAIN: Duration = Duration::from_secs(2 + 3 + 5);
/// The silent node: one of the three masters, with a third of the slots and some of the 16 shards.
const SILENT: usize = 1;

#[tokio::test]
async fn a_silent_node_of_a_cluster_stops_neither_the_other_shards_nor_a_start() {
    let mut cluster = RedisCluster::start().await;
    let mut stack = TestStack::distributed().redis(cluster.url()).delay("50ms").start().await;
    let client = stack.client();
    let meal = client.create_meal("Soup", &[]).await;
    // The shard of a hero's updates is its id modulo 16.
    let (mut heroes, mut followers) = (Vec::new(), Vec::new());
    for number in 0..16 {
        let hero = client.create_hero(&format!("Hero {number}"), &[]).await;
        followers.push(Follower::open(client.base(), hero, None).await);
        heroes.push(hero);
    }
    cluster.node(SILENT).pause();
    let paused = Instant::now();

    // A start needs only a majority of the nodes.
    let late = stack.start_gateway().await;
    assert!(paused.elapsed() < HEARING_AGAIN, "started after {:?}", paused.elapsed());
    loop {
        let began = Instant::now();
        let mut orders = Vec::new();
        for hero in &heroes {
            orders.push(id(&late.place_at_last(*hero, meal).await));
        }
        for (follower, order) in followers.iter_mut().zip(orders) {
            within("a frame", async {
                while follower.view.status_of(order) != Some(Status::Completed) {
                    follower.next().await.expect("the socket stays open");
                }
            })
            .await;
        }
        assert!(began.elapsed() <= HEARING_AGAIN, "told after {:?}", began.elapsed());
        if client.get("/readyz").await.status == 200 && client.metric("galley_bus_deaf").await == 0
        {
            break;
        }
        assert!(paused.elapsed() <= 2 * HEARING_AGAIN, "deaf for {:?}", paused.elapsed());
    }
}
