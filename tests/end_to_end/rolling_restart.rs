//! Two gateways behind a real balancer are restarted in turn, orderly and with kill -9, under load
//! by sockets and orders.
//!
//! An orderly stop is no worse than a kill: no request fails, and no client is disconnected longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use galley_tests::follower::{FinalTruth, everybody};
use galley_tests::hero_view::HeroNews;
use galley_tests::program::Signal;
use galley_tests::{Balancer, Follower, TestClient, TestStack, Truth, until, within};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const HEROES: usize = 20;
const OPENING: usize = 32;
/// The number of clients that place orders.
const CUSTOMERS: usize = 2;
/// The words of the log of a gateway that found no free connection to its database in time.
const POOL_TIMED_OUT: &str = "pool timed out";
/// Serializes these tests, because they measure time.
static TURN: Semaphore = Semaphore::const_new(1);
/// The time by which a client may be disconnected longer than after a kill, on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_nginx_that_takes_gateways_in_turn_nobody_notices_a_rolling_restart() {
    restart_both(async |stack| Balancer::nginx(stack, "").await, 100, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_nginx_that_prefers_the_idle_nobody_notices_a_rolling_restart() {
    restart_both(async |stack| Balancer::nginx(stack, "least_conn").await, 500, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_haproxy_nobody_notices_a_rolling_restart() {
    restart_both(
        async |stack| Balancer::haproxy(stack, "leastconn").await,
        100,
        async |balancer| balancer.until_status(0, "UP").await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_caddy_nobody_notices_a_rolling_restart() {
    restart_both(async |stack| Balancer::caddy(stack, "least_conn").await, 100, async |_| {}).await;
}

/// Starts the stack, with a shutdown delay of four checks of the balancer.
async fn stack() -> TestStack {
    let stack = TestStack::distributed().gateways(2).delay("0s");
    stack.set("GALLEY_SHUTDOWN_DELAY", "2s").set("GALLEY_DRAIN", "1s").start().await
}

/// Restarts both gateways behind a balancer. `until_back` waits until the balancer uses the first
/// one again, before the second one stops.
async fn restart_both(
    balancer: impl AsyncFnOnce(&TestStack) -> Balancer,
    sockets: usize,
    until_back: impl AsyncFn(&mut Balancer),
) {
    let _turn = TURN.acquire().await;
    let mut stack = stack().await;
    let mut balancer = balancer(&stack).await;
    let client = balancer.client();
    let meal = client.create_meal("Soup", &[]).await;
    let creating = stream::iter(0..HEROES)
        .map(async |number| client.create_hero(&format!("Hero {number}"), &[]).await);
    let heroes: Vec<i64> = creating.buffered(8).collect().await;
    let (tell, truth) = watch::channel(None);
    let (away, mut absences) = mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    let opening = stream::iter(0..sockets)
        .map(|number| Follower::open_at_last(client.base(), heroes[number % HEROES]));
    let mut opening = std::pin::pin!(opening.buffer_unordered(OPENING));
    while let Some(follower) = opening.next().await {
        clients.spawn(stay(follower, client.base().to_owned(), away.clone(), truth.clone()));
    }

    let mut logs = String::new();
    let (stop, is_killing) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut customers = JoinSet::new();
    for hero in heroes.iter().take(CUSTOMERS) {
        customers.spawn(order_on(
            TestClient::new(client.base()),
            (*hero, meal),
            Arc::clone(&is_killing),
            Arc::clone(&stop),
        ));
    }
    for gateway in 0..2 {
        let program = &mut stack.gateways[gateway].program;
        program.signal(Signal::TERM);
        assert_eq!(within("the end of the gateway", program.exit()).await.code(), Some(0));
        logs.push_str(&program.log());
        stack.restart_gateway(gateway).await;
        until_back(&mut balancer).await;
    }
    let (one, two) = (stack.client_of(0), stack.client_of(1));
    until("everybody is back", async || {
        let open = one.metric("galley_sockets").await + two.metric("galley_sockets").await;
        (open == sockets as u64).then_some(())
    })
    .await;
    let after_orderly = longest(&mut absences);
    is_killing.store(true, Ordering::Relaxed);

    for gateway in 0..2 {
        logs.push_str(&stack.gateways[gateway].program.log());
        stack.gateways[gateway].program.kill();
        stack.restart_gateway(gateway).await;
    }
    stop.store(true, Ordering::Relaxed);
    let (placed, refused) = customers
        .join_all()
        .await
        .into_iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    // A machine that is too slow for its database says so; that is not the stop's fault.
    assert!(refused == 0 || logs.contains(POOL_TIMED_OUT), "{refused} orders were refused");
    client.place_at_last(heroes[0], meal).await;
    tell.send_replace(Some(Truth::settled(&client, &heroes).await));
    let back = everybody(clients).await.len();
    let after_kill = longest(&mut absences);
    println!(
        "{back} sockets, {placed} orders, {refused} refused; away {after_orderly:?} at most, after kill -9 {after_kill:?}"
    );
    assert!(placed > 0 && after_orderly.0 > sockets / 2 && after_kill.0 > 0, "somebody was away");
    assert!(after_orderly.1 <= after_kill.1 + SLACK, "{after_orderly:?} against {after_kill:?}");
}

/// Follows a hero across reconnects, and sends the length of each disconnection to `away`.
async fn stay(
    mut follower: Follower,
    gateway: String,
    away: mpsc::UnboundedSender<Duration>,
    truth: FinalTruth,
) -> Result<(), String> {
    loop {
        let mut hint = None;
        let told = async {
            while truth.borrow().is_none() || follower.view.difference(&known(&truth)).is_some() {
                match follower.next().await {
                    Ok(HeroNews::Reconnect(after)) => hint = Some(Instant::now() + after),
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
            true
        };
        let mut settled = truth.clone();
        let is_equal = tokio::select! {
            is_equal = told => is_equal,
            told = settled.changed(), if truth.borrow().is_none() => {
                told.expect("the test tells the truth in the end");
                continue;
            }
        };
        if is_equal {
            return Ok(());
        }
        let ended = Instant::now();
        let at_least = hint.map_or(Duration::ZERO, |hint| hint.saturating_duration_since(ended));
        follower = follower.come_back(&gateway, at_least).await;
        away.send(ended.elapsed()).expect("the test listens");
    }
}

fn known(truth: &FinalTruth) -> Arc<Truth> {
    truth.borrow().clone().expect("it was looked at")
}

/// Places orders, at most one in twenty milliseconds. Returns how many were accepted, and how many
/// were refused because the database is away. A request may fail only after a kill.
async fn order_on(
    client: TestClient,
    (hero, meal): (i64, i64),
    is_killing: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> (usize, usize) {
    let mut pace = interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut placed, mut refused) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let answer = client.place_call(hero, meal).try_send().await;
        if is_killing.load(Ordering::Relaxed) {
            continue;
        }
        let answer = answer.expect("an answer");
        if answer.status == 503 && answer.text.contains("\"/problems/unavailable\"") {
            refused += 1;
            continue;
        }
        answer.is(202);
        placed += 1;
    }
    (placed, refused)
}

/// The number of disconnections since the last call, and the longest.
fn longest(absences: &mut mpsc::UnboundedReceiver<Duration>) -> (usize, Duration) {
    let mut longest = (0, Duration::ZERO);
    while let Ok(away) = absences.try_recv() {
        longest = (longest.0 + 1, longest.1.max(away));
    }
    longest
}
