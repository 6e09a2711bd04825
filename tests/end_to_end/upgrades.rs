//! An upgrade without a pause: programs of the version before and of this one serve one database
//! and one Redis under load, in either order, and nobody misses anything. `./test` builds the
//! version before.

use galley_tests::follower::everybody;
use galley_tests::patience::until;
use galley_tests::traffic::Traffic;
use galley_tests::{Follower, TestClient, TestProgram, TestStack, Truth};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The gateway and the worker of one version.
struct Release {
    gateway: &'static str,
    worker: &'static str,
}

const BEFORE: Release =
    Release { gateway: "before/galley-gateway", worker: "before/galley-worker" };
const NOW: Release = Release { gateway: "galley-gateway", worker: "galley-worker" };
/// The orders that end while both versions work.
const TOGETHER: usize = 100;

impl Release {
    /// Starts both programs; returns the worker and a client of the gateway.
    async fn start(&self, stack: &mut TestStack) -> (TestProgram, TestClient) {
        let gateway = stack.launch(self.gateway, &[]);
        let worker = stack.launch(self.worker, &[]);
        (worker, stack.admit(gateway).await)
    }
}

#[tokio::test]
async fn the_version_before_makes_way_for_this_one_under_load() {
    changes_over(&BEFORE, &NOW).await;
}

#[tokio::test]
async fn this_version_makes_way_for_the_version_before_under_load() {
    changes_over(&NOW, &BEFORE).await;
}

/// Adds the programs of `next` to those of `first` under load, kills the worker of `first` and
/// stops its gateway, whose sockets resume at that of `next`.
async fn changes_over(first: &Release, next: &Release) {
    let stack = TestStack::distributed().gateways(0).workers(0).delay("0s..300ms");
    // The version before knows nothing of traces, and each of this one carries them.
    let stack =
        stack.set("GALLEY_OTLP_ENDPOINT", "http://127.0.0.1:1").set("GALLEY_TRACE_RATIO", "1");
    let mut stack = stack.start().await;
    let (mut old_worker, old) = first.start(&mut stack).await;
    let meal = old.create_meal("Soup", &["water"]).await;
    let mut heroes = Vec::new();
    for number in 0..4 {
        heroes.push(old.create_hero(&format!("Hero {number}"), &[]).await);
    }
    let allergic = old.create_hero("Allergic", &["WATER"]).await;
    let (_new_worker, new) = next.start(&mut stack).await;
    // Each hero orders at one gateway and is watched at both.
    let both = [old.clone(), new.clone()];
    let (tell, truth) = watch::channel(None);
    let (mut stay, mut move_on) = (JoinSet::new(), Vec::new());
    for hero in &heroes {
        stay.spawn(Follower::open(new.base(), *hero, None).await.until_equal(truth.clone()));
        move_on.push(Follower::open(old.base(), *hero, None).await);
    }
    let traffic = Traffic::begin(&both, &heroes, meal).await;
    for client in &both {
        client.place_until(allergic, meal, "CANCELLED").await;
    }
    until("orders of both versions", async || {
        let ended = old.all("/orders?status=COMPLETED").await;
        (ended.len() >= TOGETHER).then_some(())
    })
    .await;
    old_worker.kill();
    let (placed, followers) = traffic.end().await;
    for follower in followers.into_iter().chain(move_on) {
        let moved = follower.resume(new.base()).await;
        stay.spawn(moved.until_equal(truth.clone()));
    }
    stack.gateways[0].program.stop().await;
    let settled = Truth::settled(&new, &heroes).await;
    tell.send_replace(Some(settled));
    let kept = everybody(stay).await;
    assert!(placed > TOGETHER && kept.len() == 12, "{placed} orders, {} sockets", kept.len());
}
