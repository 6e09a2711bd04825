//! Heroes who continuously place, cancel and delete orders, over REST and over sockets.

use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::json::id;
use crate::{Follower, TestClient};

/// The pause of one hero between two orders, when the machine is fast enough.
const PACE: Duration = Duration::from_millis(80);
/// The number of newer orders of a hero after which an order is deleted.
const KEPT: usize = 12;

/// Running traffic, until [`Traffic::end`].
#[derive(Debug)]
pub struct Traffic {
    going: watch::Sender<bool>,
    heroes: JoinSet<(usize, Follower)>,
}

impl Traffic {
    /// Starts the heroes, each with a socket; the gateways take turns.
    pub async fn begin(gateways: &[TestClient], heroes: &[i64], meal: i64) -> Self {
        let (going, seen) = watch::channel(true);
        let mut busy = JoinSet::new();
        for (number, hero) in heroes.iter().enumerate() {
            let client = gateways[number % gateways.len()].clone();
            let socket = Follower::open(client.base(), *hero, None).await;
            busy.spawn(eat(client, socket, *hero, meal, seen.clone()));
        }
        Self { going, heroes: busy }
    }

    /// Ends the traffic; returns the number of placed orders and the sockets of the heroes.
    pub async fn end(self) -> (usize, Vec<Follower>) {
        self.going.send_replace(false);
        let (orders, sockets): (Vec<usize>, _) = self.heroes.join_all().await.into_iter().unzip();
        (orders.into_iter().sum(), sockets)
    }
}

async fn eat(
    client: TestClient,
    mut socket: Follower,
    hero: i64,
    meal: i64,
    going: watch::Receiver<bool>,
) -> (usize, Follower) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut turns, mut orders) = (0, Vec::new());
    while *going.borrow() {
        // The socket is read between two orders, as by any client.
        loop {
            tokio::select! {
                biased;
                _ = pace.tick() => break,
                news = socket.next() => drop(news.unwrap_or_else(|ended| panic!("the socket of hero {hero} {ended}"))),
            }
        }
        turns += 1;
        if turns % 4 == 0 {
            socket.command(json!({"type": "place", "meal_id": meal}).to_string()).await;
            continue;
        }
        let order = id(&client.place(hero, meal).await);
        orders.push(order);
        if turns % 5 == 0 {
            let answer = client.cancel(order).await;
            assert!(matches!(answer.status, 200 | 409), "{answer:?}");
        }
        if orders.len() > KEPT && turns % 3 == 0 {
            let old = orders.remove(0);
            // An open order is cancelled, an ended one deleted.
            let answer = client.delete(&format!("/orders/{old}")).await;
            assert!(matches!(answer.status, 200 | 204), "{answer:?}");
        }
    }
    (turns, socket)
}
