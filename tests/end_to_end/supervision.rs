//! If a part that must not die does, the process ends and names it.

use futures_util::future::join_all;
use galley_tests::{StackBuilder, TestProgram, TestStack, within};
use serde_json::json;

const GATEWAY: &str = "bus, accept loop, subscriber of updates, heartbeat of sockets, \
    publisher of updates, writer of placements, writer of cancellations, writer of deletions, \
    reader of snapshots, reader of changes, reader of states, listener to signals";
const WORKER: &str = "bus, worker's heartbeat, worker's completer, worker's adopter, worker's consumer, \
    worker's sweeper, worker's maintenance, listener to signals";

#[tokio::test]
async fn a_gateway_without_one_of_its_parts_ends_and_names_it() {
    each_is_missed(GATEWAY, TestStack::launch_gateway_to_fail).await;
}

#[tokio::test]
async fn a_worker_without_one_of_its_parts_ends_and_names_it() {
    each_is_missed(WORKER, TestStack::launch_worker_to_fail).await;
}

#[tokio::test]
async fn the_whole_program_ends_with_either_half() {
    for part in ["worker's consumer", "subscriber of updates"] {
        let stack = TestStack::embedded().gateways(0).start().await;
        dies_of(stack.launch_gateway_to_fail(&format!("panic in {part}")), part).await;
    }
}

#[tokio::test]
async fn a_program_whose_bus_lost_one_of_its_tasks_ends() {
    let stack = TestStack::distributed().workers(0).start().await;
    for part in ["mender of holes", "heartbeat of the publisher", "mender of a link", "listener"] {
        let mut gateway = stack.launch_gateway_to_fail(&format!("panic in {part}"));
        gateway.line("error: the bus ended, and nothing works without it").await;
        assert_eq!(within("the end", gateway.exit()).await.code(), Some(1));
    }
    let mut worker = stack.launch_worker_to_fail("panic in heartbeat of the publisher");
    worker.line("error: the bus ended, and nothing works without it").await;
    assert_eq!(within("the end", worker.exit()).await.code(), Some(1));
}

/// Launches a program for each of these parts, which dies, and expects the program to end.
async fn each_is_missed(parts: &str, launch: fn(&TestStack, &str) -> TestProgram) {
    let stack = TestStack::distributed().workers(0).start().await;
    let dying =
        parts.split(", ").map(|part| dies_of(launch(&stack, &format!("panic in {part}")), part));
    join_all(dying).await;
}

async fn dies_of(mut program: TestProgram, part: &str) {
    program.line(&format!("error: the {part} panicked, and nothing works without it")).await;
    assert_eq!(within("the end", program.exit()).await.code(), Some(1));
}

on_both_deployments!(a_batch_that_panics_is_answered_and_the_next_one_goes_on);
async fn a_batch_that_panics_is_answered_and_the_next_one_goes_on(stack: StackBuilder) {
    let mut stack = stack.gateways(0).delay("1h").start().await;
    let client = stack.start_gateway_to_fail("panic in batch of placements").await;
    let (hero, meal) = client.create_hero_and_meal().await;
    let body = json!({"hero_id": hero, "meal_id": meal});
    client.post("/orders", &body).await.problem(500, "internal");
    assert_eq!(client.metric("galley_panics_total").await, 1);
    let order = galley_tests::json::id(&client.place(hero, meal).await);
    client.cancel(order).await.is(200);
    assert!(stack.gateways[0].program.is_running());
}
