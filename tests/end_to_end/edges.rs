//! A process dies at an edge between two systems: one has the change already, the other does not
//! yet.
//!
//! Each test ends one process exactly there, starts the process that a supervisor would start, and
//! checks the promises of the service: every accepted order exists once and ends exactly once, no
//! cancelled order is completed, sockets at another gateway see every change within ten seconds,
//! and a socket that resumes with its cursor has missed nothing.

mod crashing;
mod socket_watcher;

use crashing::Crashing;
use crashing::Side::{Gateway, Worker};
use galley_tests::command_output::run;
use galley_tests::json::{text, version};
use galley_tests::{StackBuilder, namespace, until};

on_both_deployments!(an_order_that_was_placed_and_not_dispatched_is_there_once_and_completed);
async fn an_order_that_was_placed_and_not_dispatched_is_there_once_and_completed(
    stack: StackBuilder,
) {
    let mut scene = Crashing::begin(stack.delay("200ms"), Gateway, "after-place-commit:2").await;
    let before = scene.place("before").await.expect("the first is answered");
    let answered = scene.place("after").await;
    scene.fall().await;
    if let Some(mut queue) = scene.dispatch_queue().await {
        assert_eq!(queue.length().await, 1, "only the first was dispatched");
    }
    scene.restart().await;
    let after = scene.order_of("after").await;
    assert!(answered.is_none_or(|answered| answered == after));
    scene.is_seen_in_time(after, 1).await;
    scene.ends_with(&[(before, "COMPLETED", 3), (after, "COMPLETED", 3)], &[]).await;
}

on_both_deployments!(an_order_that_was_dispatched_and_not_answered_is_there_once_and_completed);
async fn an_order_that_was_dispatched_and_not_answered_is_there_once_and_completed(
    stack: StackBuilder,
) {
    let mut scene = Crashing::begin(stack.delay("200ms"), Gateway, "after-dispatch:2").await;
    let before = scene.place("before").await.expect("the first is answered");
    assert_eq!(scene.place("after").await, None);
    scene.fall().await;
    if let Some(mut queue) = scene.dispatch_queue().await {
        assert_eq!(queue.length().await, 2, "both were dispatched");
    }
    scene.restart().await;
    let after = scene.order_of("after").await;
    scene.is_seen_in_time(after, 1).await;
    scene.ends_with(&[(before, "COMPLETED", 3), (after, "COMPLETED", 3)], &[]).await;
}

on_both_deployments!(an_order_that_was_claimed_and_not_published_is_seen_and_completed);
async fn an_order_that_was_claimed_and_not_published_is_seen_and_completed(stack: StackBuilder) {
    let mut scene = Crashing::begin(stack.delay("200ms"), Worker, "after-claim-commit").await;
    scene.place("once").await;
    scene.fall().await;
    if let Some(mut queue) = scene.dispatch_queue().await {
        assert_eq!(queue.pending().await, 1, "it is not acknowledged");
        assert_eq!(
            scene.state_of(scene.order_of("once").await).await,
            ("IN_PROGRESS".to_owned(), 2)
        );
    }
    scene.restart().await;
    let order = scene.order_of("once").await;
    scene.is_seen_in_time(order, 2).await;
    scene.ends_with(&[(order, "COMPLETED", 3)], &[]).await;
}

on_both_deployments!(an_order_whose_claim_was_published_and_not_acknowledged_is_completed_once);
async fn an_order_whose_claim_was_published_and_not_acknowledged_is_completed_once(
    stack: StackBuilder,
) {
    let mut scene = Crashing::begin(stack.delay("200ms"), Worker, "after-claim-publish").await;
    scene.place("once").await;
    scene.fall().await;
    let mut queue = scene.dispatch_queue().await;
    if let Some(queue) = &mut queue {
        assert_eq!(queue.pending().await, 1, "it is not acknowledged");
        scene.is_seen_in_time(scene.order_of("once").await, 2).await;
    }
    scene.restart().await;
    let order = scene.order_of("once").await;
    scene.ends_with(&[(order, "COMPLETED", 3)], &[]).await;
    if let Some(queue) = &mut queue {
        // Another worker takes over the entry and finds nothing to do.
        until("its acknowledgement", async || (queue.pending().await == 0).then_some(())).await;
        assert_eq!(scene.state_of(order).await, ("COMPLETED".to_owned(), 3));
    }
}

on_both_deployments!(an_order_that_was_completed_and_not_published_is_seen);
async fn an_order_that_was_completed_and_not_published_is_seen(stack: StackBuilder) {
    let mut scene = Crashing::begin(stack.delay("200ms"), Worker, "after-complete-commit").await;
    scene.place("once").await.expect("it is answered long before");
    scene.fall().await;
    scene.restart().await;
    let order = scene.order_of("once").await;
    assert_eq!(scene.state_of(order).await, ("COMPLETED".to_owned(), 3), "it was committed");
    scene.is_seen_in_time(order, 3).await;
    scene.ends_with(&[(order, "COMPLETED", 3)], &[]).await;
}

on_both_deployments!(an_order_that_was_cancelled_and_not_published_is_seen_and_stays_cancelled);
async fn an_order_that_was_cancelled_and_not_published_is_seen_and_stays_cancelled(
    stack: StackBuilder,
) {
    let mut scene = Crashing::begin(stack.delay("2s"), Gateway, "after-cancel-commit:2").await;
    let mut orders = Vec::new();
    for key in ["one", "two"] {
        let order = scene.place(key).await.expect("it is answered");
        scene.client.until_status(order, "IN_PROGRESS").await;
        orders.push(order);
    }
    scene.client.cancel(orders[0]).await.is(200);
    scene.client.cancel(orders[1]).try_send().await.expect_err("the second is not answered");
    scene.fall().await;
    scene.restart().await;
    let late = scene.client.cancel(orders[1]).await.problem(409, "already-finished");
    assert_eq!(
        (text(&late["order"], "status"), version(&late["order"])),
        ("CANCELLED", 3),
        "it was committed"
    );
    scene.is_seen_in_time(orders[1], 3).await;
    // When a later order is completed, the others would be as well.
    let later = scene.place("three").await.expect("it is answered");
    scene.client.until_status(later, "COMPLETED").await;
    scene
        .ends_with(
            &[(orders[0], "CANCELLED", 3), (orders[1], "CANCELLED", 3), (later, "COMPLETED", 3)],
            &[],
        )
        .await;
}

on_both_deployments!(an_order_that_was_deleted_and_not_published_is_seen);
async fn an_order_that_was_deleted_and_not_published_is_seen(stack: StackBuilder) {
    let mut scene = Crashing::begin(stack.delay("0s"), Gateway, "after-delete-commit").await;
    let mut orders = Vec::new();
    for key in ["one", "two"] {
        let order = scene.place(key).await.expect("it is answered");
        scene.client.until_status(order, "COMPLETED").await;
        orders.push(order);
    }
    let path = format!("/orders/{}", orders[1]);
    scene.client.delete(&path).try_send().await.expect_err("it is not answered");
    scene.fall().await;
    scene.restart().await;
    scene.client.delete(&path).await.problem(404, "order-not-found");
    scene.is_seen_in_time(orders[1], 4).await;
    scene.ends_with(&[(orders[0], "COMPLETED", 3)], &[(orders[1], 4)]).await;
}

on_both_deployments!(an_order_that_kills_every_worker_ends_as_undeliverable);
async fn an_order_that_kills_every_worker_ends_as_undeliverable(stack: StackBuilder) {
    let mut scene = Crashing::begin(stack.delay("1h"), Worker, "after-claim-commit").await;
    scene.place("poison").await;
    scene.fall().await;
    for _ in 0..5 {
        scene.restart_to_fail("after-adopt-commit");
        scene.fall().await;
    }
    scene.restart().await;
    let order = scene.order_of("poison").await;
    scene.ends_with(&[(order, "CANCELLED", 3)], &[]).await;
    let ended = scene.client.order(order).await;
    assert_eq!(
        (text(&ended, "reason"), ended["message"].is_string()),
        ("undeliverable", true),
        "{ended}"
    );
    let innocent = scene.place("innocent").await.expect("it is answered");
    scene.client.until_status(innocent, "IN_PROGRESS").await;
}

#[tokio::test]
async fn a_fail_point_that_does_not_exist_is_a_bad_value() {
    let redis = namespace::shared_redis();
    for (point, part) in
        [("after-lunch", "after-claim-commit"), ("after-dispatch:0", "number from 1")]
    {
        for program in ["galley", "galley-gateway", "galley-worker"] {
            let variables = [
                ("GALLEY_FAIL_POINT", point),
                ("DATABASE_URL", "postgres://127.0.0.1:1/none"),
                ("REDIS_URL", &redis),
            ];
            let said = run(program, &["--wait", "0s"], &variables).await;
            assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
            assert!(said.stderr.starts_with("error: ") && said.stderr.contains(part), "{said:?}");
        }
    }
}
