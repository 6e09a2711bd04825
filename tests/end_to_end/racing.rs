//! Thousands of sockets come and go while tens of thousands of orders change: the welcome of a
//! socket and its later updates fit together without a gap.

use futures_util::stream::{self, StreamExt as _};
use galley_tests::follower::{FinalTruth, SocketEnd, everybody, told};
use galley_tests::{Follower, StackBuilder, Truth};
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The sockets that a client opens one after the other.
const SOCKETS_OF_EACH: usize = 10;
/// The most frames after which a client leaves its socket.
const MAX_FRAMES: usize = 80;
/// The orders that are placed at the same time.
const PLACING: usize = 100;
/// The states of an order: PENDING, `IN_PROGRESS`, COMPLETED.
const TRANSITIONS: usize = 3;

struct Size {
    heroes: usize,
    subscribes: usize,
    transitions: usize,
}

mod distributed {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn thousands_of_subscribes_race_tens_of_thousands_of_transitions() {
        let size = super::Size { heroes: 100, subscribes: 5_000, transitions: 50_000 };
        super::race(galley_tests::TestStack::distributed().gateways(2), size).await;
    }
}

mod embedded {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_thousand_subscribes_race_ten_thousand_transitions() {
        let size = super::Size { heroes: 20, subscribes: 1_000, transitions: 10_000 };
        super::race(galley_tests::TestStack::embedded(), size).await;
    }
}

async fn race(stack: StackBuilder, size: Size) {
    let Size { heroes, subscribes, transitions } = size;
    let stack = stack.delay("0s").start().await;
    let client = stack.client();
    let gateways: Vec<String> = stack.gateways.iter().map(|gateway| gateway.url.clone()).collect();
    let meal = client.create_meal("Soup", &[]).await;
    let creating = stream::iter(0..heroes)
        .map(async |number| client.create_hero(&format!("Hero {number}"), &[]).await);
    let heroes: Vec<i64> = creating.buffered(8).collect().await;

    let (tell, truth) = watch::channel(None);
    let mut clients = JoinSet::new();
    for number in 0..subscribes / SOCKETS_OF_EACH {
        clients.spawn(come_and_go(gateways.clone(), heroes[number % heroes.len()], truth.clone()));
    }
    let placing = stream::iter(0..transitions.div_ceil(TRANSITIONS));
    let placing =
        placing.map(async |number| client.place_at_last(heroes[number % heroes.len()], meal).await);
    let placed = placing.buffer_unordered(PLACING).count().await;
    let settled = Truth::settled(&client, &heroes).await;
    assert_eq!(heroes.iter().map(|hero| settled.of(*hero).len()).sum::<usize>(), placed);
    tell.send_replace(Some(settled));
    let followers = everybody(clients).await;
    let frames: usize = followers.iter().map(|follower| follower.view.frames).sum();
    println!(
        "{placed} orders; the last views of {} clients were made of {frames} frames",
        followers.len()
    );
}

/// Opens one socket after the other, each for a few frames, and follows the last one to the end.
async fn come_and_go(
    gateways: Vec<String>,
    hero: i64,
    mut truth: FinalTruth,
) -> Result<Follower, String> {
    let any = || gateways[rand::rng().random_range(0..gateways.len())].as_str();
    let mut follower = Follower::open(any(), hero, None).await;
    let mut cursors = Vec::new();
    for _ in 1..SOCKETS_OF_EACH {
        listen_a_while(&mut follower, &mut truth)
            .await
            .map_err(|ended| format!("the socket was to stay open: {ended}"))?;
        cursors.push(follower.view.cursor().expect("a welcome has one").to_owned());
        if rand::random() {
            follower.close().await;
        }
        let way = rand::rng().random_range(0..6);
        follower = match way {
            // As a new client: without a cursor, or with any earlier one.
            0 => Follower::open(any(), hero, None).await,
            1 => {
                let cursor = &cursors[rand::rng().random_range(0..cursors.len())];
                Follower::open(any(), hero, Some(cursor)).await
            }
            _ => follower.resume(any()).await,
        };
    }
    follower.until_equal(truth).await
}

/// Reads some frames, as long as more are expected.
async fn listen_a_while(follower: &mut Follower, truth: &mut FinalTruth) -> Result<(), SocketEnd> {
    let frames = rand::rng().random_range(0..=MAX_FRAMES);
    for _ in 0..frames {
        tokio::select! {
            news = follower.next() => drop(news?),
            _ = told(truth) => break,
        }
    }
    Ok(())
}
