//! The connections on which gateways receive updates are cut repeatedly under load, and Redis is
//! emptied: no client misses anything, and no socket is closed.

use std::time::Duration;

use galley_tests::follower::everybody;
use galley_tests::traffic::Traffic;
use galley_tests::{Follower, RedisServer, TestStack, Truth};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;

const BEAT: Duration = Duration::from_secs(2);
const CUTS: usize = 30;
/// The number of cuts after which Redis is emptied as well.
const EMPTIED_EVERY: usize = 10;
const HEROES: usize = 6;

#[tokio::test]
async fn nothing_is_missed_while_gateways_are_cut_off_from_updates_every_two_seconds() {
    let redis = RedisServer::start().await;
    let stack = TestStack::distributed().redis(redis.url()).gateways(2).workers(2);
    let stack = stack.delay("0s..400ms").start().await;
    let gateways = [stack.client_of(0), stack.client_of(1)];
    let meal = gateways[0].create_meal("Soup", &[]).await;
    let (tell, truth) = watch::channel(None);
    let (mut heroes, mut kept, mut wanderers) = (Vec::new(), JoinSet::new(), Vec::new());
    for number in 0..HEROES {
        let hero = gateways[0].create_hero(&format!("Hero {number}"), &[]).await;
        for gateway in &gateways {
            kept.spawn(Follower::open(gateway.base(), hero, None).await.until_equal(truth.clone()));
        }
        wanderers.push(Follower::open(gateways[0].base(), hero, None).await);
        heroes.push(hero);
    }
    let before_the_first_event = wanderers[0].view.cursor().expect("a welcome has one").to_owned();
    let traffic = Traffic::begin(&gateways, &heroes, meal).await;

    let (mut beat, mut cut, mut at) = (interval(BEAT), 0, 0);
    beat.tick().await;
    for number in 1..=CUTS {
        beat.tick().await;
        cut += redis.ask::<usize>(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        if number % EMPTIED_EVERY == 0 {
            redis.ask::<String>(&["FLUSHALL"]).await;
            at = 1 - at;
            let mut moved = Vec::new();
            for wanderer in wanderers {
                moved.push(wanderer.resume(gateways[at].base()).await);
            }
            wanderers = moved;
        }
    }
    assert!(cut > CUTS, "only {cut} connections were there to be cut");
    for wanderer in wanderers {
        kept.spawn(wanderer.until_equal(truth.clone()));
    }
    let (placed, sockets) = traffic.end().await;
    for socket in sockets {
        kept.spawn(socket.until_equal(truth.clone()));
    }
    let settled = Truth::settled(&gateways[0], &heroes).await;
    tell.send_replace(Some(settled.clone()));
    let views: Vec<_> = everybody(kept).await.into_iter().map(|follower| follower.view).collect();
    let repairs = gateways[0].metric("galley_repairs_total").await;
    let by_welcome: usize = views.iter().map(|view| view.told_by_welcome).sum();
    println!(
        "{placed} orders, {cut} cuts: {repairs} repairs at one gateway, {by_welcome} changes came by welcome"
    );
    assert!(repairs > 0 && by_welcome > 0, "nothing was lost, so that nothing was shown");

    redis.ask::<String>(&["FLUSHALL"]).await;
    let whole = Follower::open(gateways[1].base(), heroes[0], Some(&before_the_first_event)).await;
    assert_eq!(
        whole.view.difference(&settled),
        None,
        "its welcome tells everything that ever happened"
    );
}
