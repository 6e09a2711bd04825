//! Sockets that do not keep up cost bounded memory, are healed when they read on, and leave the others alone.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use galley_tests::follower::{FinalTruth, everybody, told};
use galley_tests::raw_socket::Opcode;
use galley_tests::{Client, Follower, RawSocket, Stack, Truth, until, within};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// PENDING, `IN_PROGRESS`, COMPLETED of each order.
const UPDATES: usize = 20_000;
const ORDERS: usize = UPDATES.div_ceil(3);
const SOCKETS: usize = 20;
/// The queue of 256 KiB, what the kernel and the session have in their hands, and as much again.
const MEMORY_OF_EACH: u64 = 512 * 1_024;
/// Of a slow reader's kernel, not too small: one that has no room for a segment drops it, and is told again later and later.
const RECEIVE_BUFFER: u32 = 64 * 1_024;
/// What it reads at once.
const SIP: usize = 16 * 1_024;
const PAUSE: Duration = Duration::from_secs(1);

async fn place_many(client: &Client, hero: i64, meal: i64) {
    let placing = stream::iter(0..ORDERS).map(|_| client.place_at_last(hero, meal));
    assert_eq!(placing.buffer_unordered(100).count().await, ORDERS);
}

/// Reads a little now and then until the truth is known, then everything.
async fn sip(mut socket: RawSocket, mut truth: FinalTruth) -> Result<Follower, String> {
    let mut pauses = interval(PAUSE);
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let sip = async {
            pauses.tick().await;
            socket.read_some(SIP).await
        };
        tokio::select! {
            _ = told(&mut truth) => break,
            length = sip => if length == 0 {
                return Err("a socket that reads slowly was closed".to_owned());
            },
        }
    }
    socket.follow().await.until_equal(truth).await
}

/// Three gateways hear the same updates: one has the slow sockets, one has as many that keep up, one takes the orders. So the
/// difference in what the first two hold is what slowness costs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_reads_slowly_is_told_the_rest_at_once_and_costs_little_memory() {
    let stack = Stack::distributed().gateways(3).delay("0s").start().await;
    let [slow, brisk, other] = [0, 1, 2].map(|gateway| stack.client_of(gateway));
    let (hero, meal) = other.create_hero_and_meal().await;
    let (tell, truth) = watch::channel(None);
    let (mut sipping, mut reading) = (JoinSet::new(), JoinSet::new());
    for _ in 0..SOCKETS {
        sipping.spawn(sip(RawSocket::open(slow.base(), hero, RECEIVE_BUFFER).await, truth.clone()));
        reading.spawn(Follower::open(brisk.base(), hero, None).await.until_equal(truth.clone()));
    }
    let resident = || [0, 1].map(|gateway| stack.gateways[gateway].program.resident());
    let before = resident();
    place_many(&other, hero, meal).await;
    let settled = Truth::settled(&other, &[hero]).await;
    let after = resident();
    let [slow_grew, brisk_grew] = [0, 1].map(|gateway| after[gateway].saturating_sub(before[gateway]));
    let behind = slow.metric("galley_sockets_behind_total").await;
    println!("{SOCKETS} slow sockets: {slow_grew} bytes, brisk ones: {brisk_grew} bytes; {behind} times behind");
    tell.send_replace(Some(settled));
    let slow_ones = everybody(sipping).await;
    everybody(reading).await;
    for follower in slow_ones {
        assert!(follower.picture.resyncs > 0, "a socket so slow falls behind");
        assert!(follower.picture.frames < UPDATES, "what it missed came merged: {} frames", follower.picture.frames);
    }
    assert!(
        slow_grew <= brisk_grew + SOCKETS as u64 * MEMORY_OF_EACH,
        "{SOCKETS} slow sockets cost {slow_grew} bytes, as many brisk ones {brisk_grew}"
    );
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed_with_1013_and_the_others_live_on() {
    let stack = Stack::distributed().delay("0s").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut stuck = RawSocket::open(client.base(), hero, RECEIVE_BUFFER).await;
    let (tell, truth) = watch::channel(None);
    let brisk = tokio::spawn(Follower::open(client.base(), hero, None).await.until_equal(truth));
    place_many(&client, hero, meal).await;
    let closed = r#"galley_sockets_closed_total{code="1013"}"#;
    until("the end of the stuck socket", async || (client.metric(closed).await == 1).then_some(())).await;
    tell.send_replace(Some(Truth::settled(&client, &[hero]).await));
    brisk.await.expect("it does not panic").expect("the other socket lives on");
    // What the kernel still held comes, and then the end; the close frame only when there was room for it.
    let mut last = None;
    while let Some(frame) = within("the rest", stuck.frame()).await {
        last = Some(frame);
    }
    if let Some((Opcode::CLOSE, payload)) = last {
        assert_eq!(payload[..2], 1013_u16.to_be_bytes());
    }
}
