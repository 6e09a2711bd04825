//! Tests a worker while the database or the bus is unreachable.

use std::time::Duration;

use galley_protocol::Status;
use galley_worker::WorkerError;

use crate::shelf::ShelfFault;
use crate::worker_scene::{WorkerScene, hear};

#[tokio::test]
async fn an_order_whose_entry_never_came_is_found() {
    let scene = WorkerScene::new().await;
    let ids = scene.shelf.place_orders(1_200, Duration::from_secs(4));
    scene.work_off(&ids).await;
}

#[tokio::test]
async fn without_a_bus_orders_are_completed_all_the_same() {
    let scene = WorkerScene::without_bus().await;
    let worker = scene.work("0s");
    for _ in 0..3 {
        let ids = scene.shelf.place_orders(700, Duration::ZERO);
        scene.until_completed(&ids).await;
    }
    worker.stop().await.expect("it was told to stop");
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_leaves_no_order_behind() {
    let (scene, mut subscription) = WorkerScene::with_subscription().await;
    let ids = scene.shelf.place_with_conflict(3);
    // The sweeper claims as well.
    for _ in 0..3 {
        scene.shelf.fail("claim", ShelfFault::After);
    }
    let _worker = scene.work("0s");
    scene.bus.publish(&[], &ids).await.expect("it is within the process");
    let heard = hear(&mut *subscription, &ids, 3).await;
    assert_eq!(heard[&(ids[0], 3)], Status::Cancelled);
    assert_eq!(heard[&(ids[1], 3)], Status::Completed);
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_told() {
    let (scene, mut subscription) = WorkerScene::with_subscription().await;
    scene.shelf.fail("complete", ShelfFault::After);
    let _worker = scene.work("0s");
    let ids = scene.place(3).await;
    let heard = hear(&mut *subscription, &ids, 3).await;
    assert!(ids.iter().all(|id| heard[&(*id, 3)] == Status::Completed));
    assert!(scene.shelf.has_failed_enough());
}

#[tokio::test]
async fn an_adoption_whose_answer_was_lost_leaves_no_order_behind() {
    let scene = WorkerScene::new().await;
    let ids = scene.shelf.place_orders(10, Duration::ZERO);
    for id in &ids {
        scene.shelf.change(*id, |row| {
            row.order.status = Status::InProgress;
            row.order.version = row.order.version.next();
        });
    }
    scene.shelf.fail("adopt", ShelfFault::After);
    scene.work_off(&ids).await;
}

#[tokio::test]
async fn a_refused_claim_is_tried_again_by_the_sweeper() {
    let scene = WorkerScene::new().await;
    let _worker = scene.work("0s");
    // The first to claim may be the sweeper.
    scene.shelf.fail("claim", ShelfFault::Refused);
    scene.shelf.fail("claim", ShelfFault::Refused);
    scene.complete(10).await;
}

#[tokio::test]
async fn a_store_that_goes_away_at_any_time_costs_time_and_nothing_else() {
    let scene = WorkerScene::new().await;
    scene.shelf.set_away(true);
    let worker = scene.work("50ms");
    let mut all = Vec::new();
    for away in [false, true, false, true, false] {
        all.extend(scene.place(1_000).await);
        scene.shelf.set_away(away);
        if !away {
            let (last, first) = all.split_last().expect("orders were placed");
            scene.until_completed(&first[..first.len() / 2]).await;
            scene.shelf.until_all(&[*last], |row| row.order.status != Status::Pending).await;
        }
    }
    scene.until_completed(&all).await;
    worker.stop().await.expect("it was told to stop");
}

#[tokio::test]
async fn a_worker_stops_while_the_store_is_away() {
    let scene = WorkerScene::new().await;
    let worker = scene.work("0s");
    scene.complete(1).await;
    scene.shelf.set_away(true);
    scene.place(1).await;
    worker.stop().await.expect("it was told to stop");
}

#[tokio::test]
async fn a_worker_that_cannot_begin_says_so() {
    let scene = WorkerScene::new().await;
    scene.shelf.fail("enlist", ShelfFault::Before);
    scene.shelf.fail("enlist", ShelfFault::Refused);
    assert!(matches!(scene.work("0s").ended().await, Err(WorkerError::Enlist(_))));
}

#[tokio::test]
async fn a_part_that_dies_ends_the_worker_and_what_it_held_is_handed_back() {
    for (question, part) in
        [("complete", "completer"), ("maintain", "maintenance"), ("adopt", "adopter")]
    {
        let scene = WorkerScene::new().await;
        scene.shelf.fail(question, ShelfFault::Panic);
        let worker = scene.work("0s");
        let ids = scene.place(1).await;
        let ended = worker.ended().await;
        assert!(
            matches!(ended, Err(WorkerError::Died(dead)) if dead.part == format!("worker's {part}")),
            "{part}: {ended:?}"
        );
        assert!(ids.iter().all(|id| scene.shelf.row(*id).owner.is_none()));
    }
}
