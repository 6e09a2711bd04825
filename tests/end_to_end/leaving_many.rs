//! A gateway with ten thousand sockets stops, and another takes them over gradually.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use galley_tests::follower::{FinalTruth, SocketEnd, everybody};
use galley_tests::hero_view::HeroNews;
use galley_tests::program::Signal;
use galley_tests::{Follower, TestStack, Truth};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

const HEROES: usize = 200;
const SOCKETS_OF_EACH: usize = 50;
const SOCKETS: usize = HEROES * SOCKETS_OF_EACH;
const OPENING: usize = 64;
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_sockets_move_to_another_gateway_without_a_rush_and_miss_nothing() {
    let files =
        rlimit::increase_nofile_limit(u64::MAX).expect("the limit of open files can be read");
    assert!(files > 12_000, "{files} files may be open: too few for this test");
    let mut stack =
        TestStack::distributed().gateways(2).delay("0s").set("GALLEY_DRAIN", "10s").start().await;
    let (leaving, staying) = (stack.client_of(0), stack.client_of(1));
    let meal = staying.create_meal("Soup", &[]).await;
    let creating = stream::iter(0..HEROES)
        .map(async |number| staying.create_hero(&format!("Hero {number}"), &[]).await);
    let heroes: Vec<i64> = creating.buffered(8).collect().await;

    let (tell, truth) = watch::channel(None);
    let doors = Arc::new(Semaphore::new(OPENING));
    let (coming, mut arrived) = mpsc::channel(1);
    let mut clients = JoinSet::new();
    let opening = stream::iter(0..SOCKETS)
        .map(|number| Follower::open(leaving.base(), heroes[number % HEROES], None));
    let mut opening = std::pin::pin!(opening.buffer_unordered(OPENING));
    while let Some(follower) = opening.next().await {
        clients.spawn(obey(
            follower,
            staying.base().to_owned(),
            Arc::clone(&doors),
            coming.clone(),
            truth.clone(),
        ));
    }
    let open = leaving.metric("galley_sockets").await;
    assert_eq!(open, SOCKETS as u64, "every socket is open");

    drop(coming);

    let told = Instant::now();
    stack.gateways[0].program.signal(Signal::TERM);
    let placing = stream::iter(&heroes).map(|hero| staying.place_at_last(*hero, meal));
    assert_eq!(placing.buffer_unordered(4).count().await, HEROES);
    let status = stack.gateways[0].program.exit().await;
    assert_eq!(status.code(), Some(0), "left after {:?}", told.elapsed());

    assert_eq!(arrived.recv().await, None, "nobody sends: the last one who was coming has arrived");
    let back = staying.metric("galley_sockets").await;
    tell.send_replace(Some(Truth::settled(&staying, &heroes).await));
    let leaves = everybody(clients).await;
    assert_eq!(leaves.len(), SOCKETS);
    assert!(leaves.iter().all(|leave| leave.hint < SECOND), "nobody is away for long");
    let closes = most_in_a_second(leaves.iter().map(|leave| leave.at.duration_since(told)));
    let cut = leaves.iter().filter(|leave| leave.ended != SocketEnd::With(1012)).count();
    println!("{cut} were cut; at most {closes} went within one second");
    // The bounds are loose, because on a busy machine a gateway cuts its last sockets.
    assert!(cut * 2 <= SOCKETS, "{cut} sockets were cut without a close code");
    assert!(closes * 100 <= SOCKETS * 50, "{closes} sockets went within one second");
    assert_eq!(back, SOCKETS as u64, "every socket is back");
    let by_welcome: usize = leaves.iter().map(|leave| leave.follower.view.told_by_welcome).sum();
    assert!(by_welcome > 0, "what changed between two sockets is in the welcome of the second");
}

/// The departure of a client.
struct Leave {
    hint: Duration,
    ended: SocketEnd,
    at: Instant,
    follower: Follower,
}

/// Follows a hero until the gateway closes the socket, resumes at another gateway while holding one
/// of the doors, and stays there.
async fn obey(
    mut follower: Follower,
    other: String,
    doors: Arc<Semaphore>,
    coming: mpsc::Sender<()>,
    truth: FinalTruth,
) -> Result<Leave, String> {
    let mut hint = None;
    let ended = loop {
        match follower.next().await {
            Ok(HeroNews::Reconnect(after)) => {
                assert_eq!(hint.replace(after), None, "one hint is enough");
            }
            Ok(_) => {}
            Err(ended) => break ended,
        }
    };
    let at = Instant::now();
    let hint = hint.ok_or_else(|| format!("no hint before the end: {ended}"))?;
    let door = doors.acquire().await.expect("the doors are never closed");
    let follower = follower.resume(&other).await;
    drop((door, coming));
    let follower = follower.until_equal(truth).await?;
    Ok(Leave { hint, ended, at, follower })
}

/// The maximum number of moments within one second.
fn most_in_a_second(moments: impl Iterator<Item = Duration>) -> usize {
    let mut moments: Vec<Duration> = moments.collect();
    moments.sort_unstable();
    let mut first = 0;
    let within = moments.iter().enumerate().map(|(last, moment)| {
        while moment.saturating_sub(moments[first]) >= SECOND {
            first += 1;
        }
        last + 1 - first
    });
    within.max().unwrap_or(0)
}
