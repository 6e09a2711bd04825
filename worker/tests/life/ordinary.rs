//! Tests a worker while nothing fails.

use std::time::{Duration, Instant};

use galley_protocol::{IncarnationId, Reason, Status, Version};

use crate::worker_scene::{WorkerScene, hear};

#[tokio::test]
async fn an_order_is_taken_and_completed_and_both_are_told() {
    let (scene, mut subscription) = WorkerScene::with_subscription().await;
    let worker = scene.work("0s");
    let ids = scene.place(3).await;
    let heard = hear(&mut *subscription, &ids, 3).await;
    for id in &ids {
        assert_eq!(heard.get(&(*id, 2)), Some(&Status::InProgress));
        assert_eq!(heard.get(&(*id, 3)), Some(&Status::Completed));
    }
    worker.stop().await.expect("it was told to stop");
}

#[tokio::test]
async fn an_allergy_is_told_as_two_steps() {
    let (scene, mut subscription) = WorkerScene::with_subscription().await;
    let ids = scene.shelf.place_with_conflict(1);
    let _worker = scene.work("1h");
    scene.bus.publish(&[], &ids).await.expect("it is within the process");
    let heard = hear(&mut *subscription, &ids, 3).await;
    let steps: Vec<_> = heard.into_iter().map(|((_, version), status)| (version, status)).collect();
    assert_eq!(steps, [(2, Status::InProgress), (3, Status::Cancelled)]);
}

#[tokio::test]
async fn thousands_of_orders_without_delay_are_completed_in_no_time() {
    let scene = WorkerScene::new().await;
    let worker = scene.work("0s");
    let took = scene.complete(20_000).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    worker.stop().await.expect("it was told to stop");
}

#[tokio::test]
async fn an_order_is_not_completed_before_it_is_due() {
    let scene = WorkerScene::new().await;
    let _worker = scene.work("300ms");
    let took = scene.complete(100).await;
    assert!((Duration::from_millis(300)..Duration::from_secs(2)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn an_order_that_is_cancelled_meanwhile_is_not_completed() {
    let scene = WorkerScene::new().await;
    let _worker = scene.work("200ms");
    let ids = scene.place_until_taken(2).await;
    scene.shelf.change(ids[0], |row| {
        row.order.version = Version(3);
        row.end(Reason::HeroRequest);
    });
    scene.until_completed(&ids[1..]).await;
    let cancelled = scene.shelf.row(ids[0]).order;
    assert_eq!((cancelled.status, cancelled.version), (Status::Cancelled, Version(3)));
}

#[tokio::test]
async fn orders_of_a_dead_worker_are_adopted_and_told_again() {
    let (scene, mut subscription) = WorkerScene::with_subscription().await;
    let ids = scene.shelf.place_orders(7_000, Duration::ZERO);
    for id in &ids {
        scene.shelf.change(*id, |row| {
            drop(row.claim(IncarnationId::new(99).expect("an id"), Duration::from_millis(100)));
        });
    }
    scene.shelf.change(ids[0], |row| row.adoptions = galley_store::MAX_ADOPTIONS);
    let _worker = scene.work("1h");
    let heard = hear(&mut *subscription, &ids, 3).await;
    assert_eq!(heard[&(ids[0], 3)], Status::Cancelled);
    assert!(!heard.contains_key(&(ids[0], 2)), "what was told before is not told again");
    assert_eq!((heard[&(ids[1], 2)], heard[&(ids[1], 3)]), (Status::InProgress, Status::Completed));
}

#[tokio::test]
async fn orders_of_one_who_was_never_seen_alive_are_adopted_at_once() {
    let scene = WorkerScene::new().await;
    let _worker = scene.work("1h");
    let first = scene.place(1).await;
    scene.shelf.until_all(&first, |row| row.owner.is_some()).await;
    // Twice, because its first search may find the first one.
    for _ in 0..2 {
        let began = Instant::now();
        let ids = scene.shelf.place_orders(1, Duration::ZERO);
        let owner = scene.shelf.live_a_moment();
        scene.shelf.change(ids[0], |row| drop(row.claim(owner, Duration::ZERO)));
        scene.shelf.until_all(&ids, |row| row.owner != Some(owner)).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_worker_that_stops_hands_back_what_it_has_not_completed() {
    let scene = WorkerScene::new().await;
    let worker = scene.work("1h");
    let ids = scene.place_until_taken(1_000).await;
    let began = Instant::now();
    worker.stop().await.expect("it was told to stop");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(ids.iter().all(|id| scene.shelf.row(*id).owner.is_none()));
    let _next = scene.work("0s");
    scene.shelf.until_all(&ids, |row| row.owner.is_some()).await;
}
