//! Sockets that do not keep up cost bounded memory, are repaired when they read on, and do not
//! disturb others.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use galley_tests::follower::{FinalTruth, everybody, told};
use galley_tests::raw_connection::RawOpcode;
use galley_tests::{Follower, RawSocket, TestClient, TestStack, Truth, until, within};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// The updates, three for each order: PENDING, `IN_PROGRESS`, COMPLETED.
const UPDATES: usize = 6_000;
const ORDERS: usize = UPDATES.div_ceil(3);
const SOCKETS: usize = 20;
/// The memory of each socket: the queue of 256 KiB, a page of a resync, and a copy of that page on
/// its way into the kernel.
const MEMORY_OF_EACH: u64 = 512 * 1_024;
/// The receive buffer of a stalled reader: so small that soon everything waits in the gateway.
const RECEIVE_BUFFER: u32 = 4_096;
/// The interval of the memory measurements.
const LOOK: Duration = Duration::from_millis(100);

async fn place_many(client: &TestClient, hero: i64, meal: i64) {
    let placing = stream::iter(0..ORDERS).map(|_| client.place_at_last(hero, meal));
    assert_eq!(placing.buffer_unordered(100).count().await, ORDERS);
}

/// Reads nothing until the final state is known, then everything; resumes with its cursor if the
/// gateway closed the socket meanwhile.
async fn stall(
    socket: RawSocket,
    gateway: String,
    mut truth: FinalTruth,
) -> Result<Follower, String> {
    let settled = told(&mut truth).await;
    let mut follower = socket.follow().await;
    while within("a frame, or the end", follower.next()).await.is_ok() {
        if follower.view.difference(&settled).is_none() {
            return Ok(follower);
        }
    }
    follower.resume(&gateway).await.until_equal(truth).await
}

/// Three gateways receive the same updates: the first has the stalled sockets, the second as many
/// that keep up, the third accepts the orders. The difference between the peaks of the first two is
/// the cost of stalling.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_stalls_misses_nothing_and_costs_little_memory() {
    let stack = TestStack::distributed().gateways(3).delay("0s").start().await;
    let [slow, brisk, other] = [0, 1, 2].map(|gateway| stack.client_of(gateway));
    let (hero, meal) = other.create_hero_and_meal().await;
    let (tell, truth) = watch::channel(None);
    let (mut stalling, mut reading) = (JoinSet::new(), JoinSet::new());
    for _ in 0..SOCKETS {
        let socket = RawSocket::open(slow.base(), hero, RECEIVE_BUFFER).await;
        stalling.spawn(stall(socket, slow.base().to_owned(), truth.clone()));
        reading.spawn(Follower::open(brisk.base(), hero, None).await.until_equal(truth.clone()));
    }
    let resident = || [0, 1].map(|gateway| stack.gateways[gateway].program.resident());
    let before = resident();
    let mut most = before;
    let working = async {
        place_many(&other, hero, meal).await;
        Truth::settled(&other, &[hero]).await
    };
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looking = async {
        loop {
            looks.tick().await;
            most = [0, 1].map(|gateway| most[gateway].max(resident()[gateway]));
        }
    };
    let settled = tokio::select! {
        settled = working => settled,
        () = looking => unreachable!("it looks for ever"),
    };
    let [slow_grew, brisk_grew] =
        [0, 1].map(|gateway| most[gateway].saturating_sub(before[gateway]));
    let behind = slow.metric("galley_sockets_behind_total").await;
    println!(
        "{SOCKETS} stalled sockets: {slow_grew} bytes, brisk ones: {brisk_grew} bytes; {behind} times behind"
    );
    assert!(behind >= SOCKETS as u64, "every stalled socket fell behind: {behind}");
    tell.send_replace(Some(settled));
    everybody(stalling).await;
    everybody(reading).await;
    assert!(
        slow_grew <= brisk_grew + SOCKETS as u64 * MEMORY_OF_EACH,
        "{SOCKETS} stalled sockets cost {slow_grew} bytes, as many brisk ones {brisk_grew}"
    );
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed_with_1013_and_the_others_live_on() {
    let (_stack, client, hero, meal) =
        TestStack::distributed().delay("0s").start_with_hero_and_meal().await;
    let mut silent = RawSocket::open(client.base(), hero, RECEIVE_BUFFER).await;
    let (tell, truth) = watch::channel(None);
    let brisk = tokio::spawn(Follower::open(client.base(), hero, None).await.until_equal(truth));
    place_many(&client, hero, meal).await;
    let closed = r#"galley_sockets_closed_total{code="1013"}"#;
    until("the end of the silent socket", async || {
        (client.metric(closed).await == 1).then_some(())
    })
    .await;
    tell.send_replace(Some(Truth::settled(&client, &[hero]).await));
    brisk.await.expect("it does not panic").expect("the other socket lives on");
    // The bytes in the kernel arrive, then the end; a close frame only if there was room for it.
    let mut last = None;
    while let Some(frame) = within("the rest", silent.frame()).await {
        last = Some(frame);
    }
    if let Some((RawOpcode::CLOSE, payload)) = last {
        assert_eq!(payload[..2], 1013_u16.to_be_bytes());
    }
}
