//! Two concurrent operations on one order.

use std::collections::HashSet;
use std::time::Duration;

use galley_protocol::{OrderId, Status, Version};
use galley_store::{CancelVerdict, Claim, ClaimFrom, DeleteVerdict, IdRange};

use crate::test_store::{LONG, TestStore, cancel, delete};

async fn ids_of(test: &TestStore, count: usize) -> Vec<OrderId> {
    let (hero_id, meal_id) = test.guest().await;
    test.place_ids(hero_id, meal_id, count).await
}

fn backwards(ids: &[OrderId]) -> Vec<OrderId> {
    ids.iter().rev().copied().collect()
}

on_both!(an_order_is_cancelled_or_completed_never_both);
async fn an_order_is_cancelled_or_completed_never_both(test: TestStore) {
    let worker = test.worker().await;
    let ids = ids_of(&test, 400).await;
    test.claim(worker, &ids).await;
    let requests: Vec<_> = backwards(&ids).into_iter().map(cancel).collect();
    let cancelling: Vec<_> = requests.chunks(50).map(|chunk| test.store.cancel(chunk)).collect();
    let completing: Vec<_> =
        ids.chunks(50).map(|chunk| test.store.complete(worker, chunk)).collect();
    let (cancelled, completed) = tokio::join!(futures(cancelling), futures(completing));
    let cancelled = cancelled.into_iter().flat_map(|verdicts| verdicts.expect("verdicts"));
    let completed = completed.into_iter().flat_map(|orders| orders.expect("completions"));
    let completed: HashSet<OrderId> = completed.map(|order| order.id).collect();
    let mut ends = 0;
    for verdict in cancelled {
        let (order, status) = match verdict {
            CancelVerdict::Cancelled(order) => (order, Status::Cancelled),
            CancelVerdict::AlreadyFinished(order) => (order, Status::Completed),
            CancelVerdict::Stale(_) | CancelVerdict::NotFound => panic!("{verdict:?}"),
        };
        assert_eq!((order.status, order.version), (status, Version(3)));
        assert_eq!(completed.contains(&order.id), status == Status::Completed);
        assert_eq!(test.order(order.id).await, Some(order));
        ends += 1;
    }
    assert_eq!(ends, 400);
}

/// Runs all futures concurrently in this task.
async fn futures<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in running.iter_mut().zip(&mut done).filter(|(_, slot)| slot.is_none()) {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(context) {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

on_both!(an_order_is_claimed_once);
async fn an_order_is_claimed_once(test: TestStore) {
    let (one, other) = (test.worker().await, test.worker().await);
    let ids = ids_of(&test, 400).await;
    let reversed = backwards(&ids);
    let oldest = || Claim {
        from: ClaimFrom::Oldest { ids: IdRange::default(), age: Duration::ZERO, limit: 150 },
        delay: LONG..=LONG,
    };
    let (first, second, third, fourth) = tokio::join!(
        test.claim(one, &ids),
        test.claim(other, &reversed),
        test.store.claim(one, oldest()),
        test.store.claim(other, oldest())
    );
    let claimed = [first, second, third.expect("claims"), fourth.expect("claims")].concat();
    assert!(claimed.iter().all(|claimed| claimed.order.version == Version(2)));
    let mut seen: Vec<_> = claimed.iter().map(|claimed| claimed.order.id).collect();
    seen.sort_unstable();
    assert_eq!(seen, ids);
}

on_both!(an_order_is_cancelled_or_claimed_first);
async fn an_order_is_cancelled_or_claimed_first(test: TestStore) {
    let worker = test.worker().await;
    let ids = ids_of(&test, 300).await;
    let cancels: Vec<_> = backwards(&ids).into_iter().map(cancel).collect();
    let (verdicts, claimed) = tokio::join!(test.store.cancel(&cancels), test.claim(worker, &ids));
    let claimed: HashSet<_> = claimed.iter().map(|claimed| claimed.order.id).collect();
    for verdict in verdicts.expect("verdicts") {
        let CancelVerdict::Cancelled(order) = verdict else { panic!("{verdict:?}") };
        let version = if claimed.contains(&order.id) { Version(3) } else { Version(2) };
        assert_eq!((order.version, order.started_time.is_some()), (version, version == Version(3)));
    }
}

on_both!(an_order_is_deleted_once);
async fn an_order_is_deleted_once(test: TestStore) {
    let ids = ids_of(&test, 200).await;
    test.cancel_all(&ids).await;
    let requests: Vec<_> = ids.iter().copied().map(delete).collect();
    let reversed: Vec<_> = requests.iter().rev().cloned().collect();
    let (one, other) = tokio::join!(test.store.delete(&requests), test.store.delete(&reversed));
    let mut deleted = Vec::new();
    for verdict in one.expect("verdicts").into_iter().chain(other.expect("verdicts")) {
        match verdict {
            DeleteVerdict::Deleted { deleted: order, .. } => {
                deleted.push((order.order_id, order.version));
            }
            DeleteVerdict::NotFound => {}
            DeleteVerdict::Stale(_) | DeleteVerdict::NotFinished(_) => panic!("{verdict:?}"),
        }
    }
    deleted.sort_unstable();
    assert_eq!(deleted, ids.into_iter().map(|id| (id, Version(3))).collect::<Vec<_>>());
}
