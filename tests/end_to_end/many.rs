//! Many orders at once.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use galley_protocol::{Order, Picture};
use galley_tests::json::{id, text, version};
use galley_tests::{Client, Socket, StackBuilder};

const HEROES: usize = 50;
const ORDERS_OF_EACH: usize = 40;

on_both_deployments![every_one_of_many_orders_ends_once_and_is_seen_at_each_step];

async fn every_one_of_many_orders_ends_once_and_is_seen_at_each_step(stack: StackBuilder) {
    let stack = stack.delay("0s").start().await;
    let client = stack.client();
    let meal = client.create_meal("Soup", &[]).await;
    let mut heroes = Vec::new();
    for number in 0..HEROES {
        let hero = client.create_hero(&format!("Hero {number}"), &[]).await;
        heroes.push((hero, client.connect(hero).await));
    }
    let placing = stream::iter(0..HEROES * ORDERS_OF_EACH).map(|number| client.place(heroes[number % HEROES].0, meal));
    let placed: Vec<i64> = placing.buffer_unordered(200).map(|order| id(&order)).collect().await;
    assert_eq!(placed.len(), HEROES * ORDERS_OF_EACH);

    let heard = join_all(heroes.into_iter().map(|(hero, socket)| async move { (hero, listen(socket).await) })).await;
    for (hero, (picture, told)) in heard {
        let stored = client.all(&format!("/heroes/{hero}/orders")).await;
        let mut stored: Vec<Order> = stored.into_iter().map(|order| serde_json::from_value(order).expect("an order")).collect();
        stored.sort_unstable_by_key(|order| order.id);
        assert!(picture.orders().eq(&stored), "hero {hero} knows {picture:?}, but {stored:?} is the truth");
        if let Some(told) = told {
            let steps = stored.iter().flat_map(|order| (1..=3).map(|version| (order.id.get(), version)));
            assert!(told.iter().copied().eq(steps), "hero {hero} was told {told:?}");
        }
    }
    assert_each_completed_once(&client, placed).await;
}

/// What one hero knows when all its orders have ended, and every state that was told by a frame of its own: each order's three,
/// in whatever order they were published, unless the gateway had reason to merge some into a `resync`.
async fn listen(mut socket: Socket) -> (Picture, Option<BTreeSet<(i64, i64)>>) {
    let (mut told, mut merged) = (BTreeSet::new(), false);
    let all_ended = |picture: &Picture| picture.orders().filter(|order| !order.status.is_active()).count() == ORDERS_OF_EACH;
    while !(all_ended(&socket.picture) && (merged || told.len() == 3 * ORDERS_OF_EACH)) {
        let frame = socket.next().await;
        merged |= frame["type"] == "resync";
        if frame["type"] == "order" {
            told.insert((id(&frame["order"]), version(&frame["order"])));
        }
    }
    (socket.picture, (!merged).then_some(told))
}

/// Whatever was done to the service: every order that it accepted, and no other, is COMPLETED in its third version.
pub async fn assert_each_completed_once(client: &Client, mut placed: Vec<i64>) {
    let mut stored = client.all("/orders").await;
    for order in &stored {
        assert_eq!((text(order, "status"), version(order)), ("COMPLETED", 3), "{order}");
    }
    stored.sort_by_key(id);
    placed.sort_unstable();
    assert_eq!(stored.iter().map(id).collect::<Vec<_>>(), placed);
}
