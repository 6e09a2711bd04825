//! Many orders and sockets at once.

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use galley_protocol::{Order, Picture};
use galley_tests::json::{id, text, version};
use galley_tests::{StackBuilder, TestClient, TestSocket};

const HEROES: usize = 50;
const ORDERS_OF_EACH: usize = 40;

on_both_deployments!(every_one_of_many_orders_ends_once_and_is_seen_at_each_step);
async fn every_one_of_many_orders_ends_once_and_is_seen_at_each_step(stack: StackBuilder) {
    let stack = stack.delay("0s").start().await;
    let client = stack.client();
    let meal = client.create_meal("Soup", &[]).await;
    let mut heroes = Vec::new();
    for number in 0..HEROES {
        let hero = client.create_hero(&format!("Hero {number}"), &[]).await;
        heroes.push((hero, client.connect(hero).await));
    }
    let placing = stream::iter(0..HEROES * ORDERS_OF_EACH)
        .map(|number| client.place(heroes[number % HEROES].0, meal));
    let placed: Vec<i64> = placing.buffer_unordered(200).map(|order| id(&order)).collect().await;
    assert_eq!(placed.len(), HEROES * ORDERS_OF_EACH);

    let heard = join_all(
        heroes.into_iter().map(|(hero, socket)| async move { (hero, listen(socket).await) }),
    )
    .await;
    for (hero, (picture, told)) in heard {
        let stored = client.all(&format!("/heroes/{hero}/orders")).await;
        let mut stored: Vec<Order> = stored
            .into_iter()
            .map(|order| serde_json::from_value(order).expect("an order"))
            .collect();
        stored.sort_unstable_by_key(|order| order.id);
        assert!(
            picture.orders().eq(&stored),
            "hero {hero} knows {picture:?}, but {stored:?} is the truth"
        );
        if let Some(mut told) = told {
            told.sort_unstable();
            let steps =
                stored.iter().flat_map(|order| (1..=3).map(|version| (order.id.get(), version)));
            assert!(told.iter().copied().eq(steps), "hero {hero} was told {told:?}");
        }
    }
    assert_each_completed_once(&client, placed).await;
}

/// The sockets of one hero: more than one shard.
const SOCKETS: usize = 150;
/// The number of sockets that leave; as many join.
const LEAVING: usize = 70;

on_both_deployments!(a_crowd_is_told_the_same_while_others_leave_and_come);
async fn a_crowd_is_told_the_same_while_others_leave_and_come(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack
        .delay("0s")
        .set("GALLEY_MAX_SOCKETS_PER_HERO", "unlimited")
        .start_with_hero_and_meal()
        .await;
    let mut crowd = join_all((0..SOCKETS).map(|_| client.connect(hero))).await;
    let leaving = crowd.split_off(SOCKETS - LEAVING);
    let placing = stream::iter(0..ORDERS_OF_EACH)
        .map(|_| client.place(hero, meal))
        .buffer_unordered(8)
        .count();
    let coming = async {
        join_all(leaving.into_iter().map(TestSocket::close)).await;
        join_all((0..LEAVING).map(|_| client.connect(hero))).await
    };
    let (placed, come) = tokio::join!(placing, coming);
    assert_eq!(placed, ORDERS_OF_EACH);

    let heard = join_all(crowd.into_iter().map(listen)).await;
    let mut heard: Vec<_> = heard.into_iter().filter_map(|(_, told)| told).collect();
    heard.dedup();
    assert!(heard.len() <= 1, "not all were told the same: {heard:?}");

    let last = id(&client.place(hero, meal).await);
    for mut socket in come {
        socket.until_status(last, "COMPLETED").await;
        assert!(
            socket.picture.orders().all(|order| !order.status.is_active()),
            "{:?}",
            socket.picture
        );
    }
}

/// Reads until all orders of a hero have ended. Returns the picture, and the states received in
/// single frames: three per order, in any order; `None` if the gateway merged some into a `resync`.
async fn listen(mut socket: TestSocket) -> (Picture, Option<Vec<(i64, i64)>>) {
    let (mut told, mut merged) = (Vec::new(), false);
    let all_ended = |picture: &Picture| {
        picture.orders().filter(|order| !order.status.is_active()).count() == ORDERS_OF_EACH
    };
    while !(all_ended(&socket.picture) && (merged || told.len() == 3 * ORDERS_OF_EACH)) {
        let frame = socket.next().await;
        merged |= frame["type"] == "resync";
        let step = || (id(&frame["order"]), version(&frame["order"]));
        if frame["type"] == "order" && !told.contains(&step()) {
            told.push(step());
        }
    }
    (socket.picture, (!merged).then_some(told))
}

/// Expects that every accepted order, and no other, is COMPLETED in its third version.
pub async fn assert_each_completed_once(client: &TestClient, mut placed: Vec<i64>) {
    let mut stored = client.all("/orders").await;
    for order in &stored {
        assert_eq!((text(order, "status"), version(order)), ("COMPLETED", 3), "{order}");
    }
    stored.sort_by_key(id);
    placed.sort_unstable();
    assert_eq!(stored.iter().map(id).collect::<Vec<_>>(), placed);
}
