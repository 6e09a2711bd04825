//! One worker prepares many orders at once, and others take over the orders that it leaves.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use galley_tests::json::{id, list, text};
use galley_tests::program::Signal;
use galley_tests::{StackBuilder, TestClient, TestStack};

use crate::many::assert_each_completed_once;

const ORDERS: usize = 1_200;

/// Starts the stack, places many orders, and waits until all of them are in preparation.
async fn busy(stack: StackBuilder) -> (TestStack, TestClient, Vec<i64>) {
    let (stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let placing = stream::iter(0..ORDERS).map(|_| client.place(hero, meal));
    let placed = placing.buffer_unordered(200).map(|order| id(&order)).collect().await;
    client.until_none(&["PENDING"]).await;
    (stack, client, placed)
}

#[tokio::test]
async fn one_worker_prepares_more_than_a_thousand_orders_at_once() {
    let (_stack, client, placed) = busy(TestStack::distributed().delay("6s")).await;
    let in_progress = client.all("/orders?status=IN_PROGRESS").await.len();
    assert!(in_progress > 1_000, "only {in_progress} orders were in preparation at once");
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    assert_each_completed_once(&client, placed).await;
}

#[tokio::test]
async fn a_worker_that_is_asked_to_leave_goes_at_once_and_another_finishes_its_orders() {
    let (mut stack, client, placed) = busy(TestStack::distributed().delay("5s")).await;
    let began = Instant::now();
    stack.workers[0].stop().await;
    assert!(began.elapsed() < Duration::from_secs(3), "it took {:?} to leave", began.elapsed());
    assert!(!list(&client.get("/orders?status=IN_PROGRESS").await.is(200), "items").is_empty());
    stack.start_worker();
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    assert_each_completed_once(&client, placed).await;
}

#[tokio::test]
async fn the_orders_of_a_killed_worker_are_finished_in_time_by_another() {
    let (mut stack, client, placed) = busy(TestStack::distributed().workers(2).delay("5s")).await;
    stack.workers[0].signal(Signal::KILL);
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    for order in client.all("/orders").await {
        let took = milliseconds(text(&order, "completed_time"))
            - milliseconds(text(&order, "started_time"));
        let took = took.rem_euclid(24 * 60 * 60 * 1_000);
        assert!(
            (5_000..7_500).contains(&took),
            "an order keeps its due time: {took} ms for {order}"
        );
    }
    assert_each_completed_once(&client, placed).await;
}

#[tokio::test]
async fn the_orders_of_the_only_worker_are_finished_when_it_was_killed_and_is_started_again() {
    let (mut stack, client, placed) = busy(TestStack::distributed().delay("2s")).await;
    stack.workers[0].kill();
    stack.start_worker();
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    assert_each_completed_once(&client, placed).await;
}

/// The time of day, in milliseconds.
fn milliseconds(time: &str) -> i64 {
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().expect("digits");
    ((number(11, 13) * 60 + number(14, 16)) * 60 + number(17, 19)) * 1_000 + number(20, 23)
}
