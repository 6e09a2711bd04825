//! Totals of the orders by status.

use std::sync::atomic::{AtomicBool, Ordering};

use galley_protocol::frame::Totals;
use galley_store::RETENTION;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::safe_low_watermark::{pass, settle};
use crate::test_store::{TestStore, cancel, delete};

async fn totals(test: &TestStore) -> [i64; 4] {
    let Totals { pending, in_progress, completed, cancelled } =
        test.store.totals().await.expect("totals");
    [pending, in_progress, completed, cancelled]
}

/// Counts the orders by status without the store.
async fn counted(test: &TestStore) -> [i64; 4] {
    let mut counts = [0; 4];
    for (status, count) in counts.iter_mut().enumerate() {
        let touch = format!(
            "update orders set adoptions = adoptions where status = {status} and deleted_time is null"
        );
        *count =
            test.database.sql(&touch).await.expect("a count").try_into().expect("a small number");
    }
    counts
}

/// Returns true if the tally counts exactly `count` orders.
async fn settled(test: &TestStore, count: usize) -> bool {
    let touch = format!("update tally set one = one where completed + cancelled = {count}");
    test.database.sql(&touch).await.expect("the tally") == 1
}

on_both!(totals_count_what_is_not_deleted);
async fn totals_count_what_is_not_deleted(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    assert_eq!(totals(&test).await, [0; 4]);
    test.place_many(hero_id, meal_id, 4).await;
    test.started(worker, hero_id, meal_id).await;
    test.completed(worker, hero_id, meal_id).await;
    let deleted = test.completed(worker, hero_id, meal_id).await;
    test.delete(delete(deleted.id)).await;
    for order in test.place_many(hero_id, meal_id, 2).await {
        test.cancel(cancel(order.id)).await;
    }
    assert_eq!(totals(&test).await, [4, 1, 1, 2]);
}

on_both!(totals_do_not_change_when_the_floor_moves_over_them);
async fn totals_do_not_change_when_the_floor_moves_over_them(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    for order in test.place_many(hero_id, meal_id, 3).await {
        test.cancel(cancel(order.id)).await;
    }
    test.completed(worker, hero_id, meal_id).await;
    let deleted = test.completed(worker, hero_id, meal_id).await;
    test.delete(delete(deleted.id)).await;
    let last = test.started(worker, hero_id, meal_id).await;
    test.completed(worker, hero_id, meal_id).await;
    assert!(settled(&test, 0).await);
    settle(&test).await;
    assert_eq!(test.store.low_watermark(), last.id);
    assert!(settled(&test, 4).await);
    assert_eq!(totals(&test).await, [0, 1, 2, 3]);
    test.store.complete(worker, &[last.id]).await.expect("completions");
    settle(&test).await;
    assert!(settled(&test, 6).await);
    test.place(hero_id, meal_id).await;
    assert_eq!(totals(&test).await, [1, 0, 3, 3]);
}

on_both!(what_is_deleted_below_the_floor_is_no_longer_counted);
async fn what_is_deleted_below_the_floor_is_no_longer_counted(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let completed = test.completed(worker, hero_id, meal_id).await.id;
    let cancelled =
        test.place_many(hero_id, meal_id, 2).await.iter().map(|order| order.id).collect::<Vec<_>>();
    for id in &cancelled {
        test.cancel(cancel(*id)).await;
    }
    settle(&test).await;
    let above = test.completed(worker, hero_id, meal_id).await.id;
    let requests = [completed, above, cancelled[0], completed].map(delete);
    test.store.delete(&requests).await.expect("verdicts");
    assert_eq!(totals(&test).await, [0, 0, 0, 1]);
    assert!(settled(&test, 1).await);
    test.delete(delete(completed)).await;
    assert_eq!(totals(&test).await, [0, 0, 0, 1], "the order had been deleted before");
}

on_both!(forgetting_changes_no_total);
async fn forgetting_changes_no_total(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let ids = test.place_ids(hero_id, meal_id, 4).await;
    for id in &ids {
        test.cancel(cancel(*id)).await;
    }
    test.delete(delete(ids[0])).await;
    settle(&test).await;
    test.delete(delete(ids[1])).await;
    let past = test.database.seconds_ago(RETENTION.as_secs() + 60);
    let age = format!(
        "update orders set order_time = {past}, completed_time = {past}, deleted_time = {past} where version = 3"
    );
    assert_eq!(test.database.sql(&age).await, Ok(2));
    pass(std::time::Duration::from_mins(1)).await;
    test.store.maintain().await.expect("maintenance succeeds");
    assert_eq!(
        test.database.sql("update orders set adoptions = adoptions").await,
        Ok(2),
        "the deleted orders are forgotten"
    );
    assert_eq!(totals(&test).await, [0, 0, 0, 2]);
}

on_both!(totals_are_exact_whatever_happens_at_once);
/// The low watermark moves over orders while they are deleted from both ends and at random, by
/// several processes where the store permits that.
async fn totals_are_exact_whatever_happens_at_once(test: TestStore) {
    const ORDERS: usize = 2_000;
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let mut ids = Vec::new();
    for _ in 0..ORDERS / 500 {
        ids.extend(test.place_many(hero_id, meal_id, 500).await.iter().map(|order| order.id));
    }
    for chunk in ids.chunks(500) {
        let (completed, cancelled) = chunk.split_at(random.random_range(0..500));
        test.claim(worker, completed).await;
        test.store.complete(worker, completed).await.expect("completions");
        test.store
            .cancel(&cancelled.iter().copied().map(cancel).collect::<Vec<_>>())
            .await
            .expect("verdicts");
    }
    let others = if test.database.is_sqlite() {
        [test.store.clone(), test.store.clone()]
    } else {
        [test.database.open().await, test.database.open().await]
    };
    let mut shuffled = ids.clone();
    shuffled.shuffle(&mut random);
    let doomed: Vec<Vec<_>> = shuffled[..ORDERS / 2]
        .chunks(20)
        .map(|chunk| chunk.iter().copied().map(delete).collect())
        .collect();
    let deleting = async |store: &dyn galley_store::Store, parity: usize| {
        for requests in doomed.iter().skip(parity).step_by(2) {
            store.delete(requests).await.expect("verdicts");
        }
    };
    let moving = async |store: &dyn galley_store::Store| {
        for floor in ids.iter().step_by(20) {
            let to = format!("update watermark set floor = {floor} where floor < {floor}");
            test.database.sql(&to).await.expect("the low watermark is set");
            store.maintain().await.expect("maintenance succeeds");
        }
    };
    let done = AtomicBool::new(false);
    let watching = async {
        let mut last = ORDERS;
        while !done.load(Ordering::Relaxed) {
            let [pending, in_progress, completed, cancelled] = totals(&test).await;
            assert!(pending == 0 && in_progress == 0 && completed >= 0 && cancelled >= 0);
            let now = usize::try_from(completed + cancelled).expect("not negative");
            assert!(
                now <= last && now >= ORDERS / 2,
                "{now} after {last}: nothing but deletions happened"
            );
            last = now;
        }
    };
    let working = async {
        tokio::join!(
            deleting(&*test.store, 0),
            deleting(&*others[0], 1),
            moving(&*others[0]),
            moving(&*others[1])
        );
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(working, watching);
    assert!(!settled(&test, 0).await, "the tally has counted orders");
    assert_eq!(totals(&test).await, counted(&test).await);
}
