//! Cancelling and deleting orders.

use galley_protocol::{
    CancelOrder, DeleteOrder, Deleted, OfHero, OrderId, Reason, Status, Version,
};
use galley_store::{CancelVerdict, DeleteVerdict};

use crate::test_store::{TestStore, cancel, delete, text};

fn cancel_with(order_id: OrderId, expected: Option<i32>, reason: &str) -> OfHero<CancelOrder> {
    let (reason, expected) = (Some(text(reason)), expected.map(Version));
    OfHero { hero_id: None, command: CancelOrder { order_id, reason, expected } }
}

fn delete_if(order_id: OrderId, expected: i32) -> OfHero<DeleteOrder> {
    let expected = Some(Version(expected));
    OfHero { hero_id: None, command: DeleteOrder { order_id, expected } }
}

on_both!(a_pending_order_is_cancelled_before_it_started);
async fn a_pending_order_is_cancelled_before_it_started(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place(hero_id, meal_id).await;
    let verdict = test.cancel(cancel_with(order.id, None, "not\nhungry")).await;
    let CancelVerdict::Cancelled(cancelled) = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        (cancelled.status, cancelled.version, cancelled.reason),
        (Status::Cancelled, Version(2), Some(Reason::HeroRequest))
    );
    assert_eq!((cancelled.message.as_deref(), cancelled.started_time), (Some("not\nhungry"), None));
    assert!(cancelled.completed_time.is_some_and(|time| time >= order.order_time));
    assert_eq!(test.order(order.id).await, Some(cancelled));
}

on_both!(an_order_in_progress_is_cancelled_after_it_started);
async fn an_order_in_progress_is_cancelled_after_it_started(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.started(worker, hero_id, meal_id).await;
    let command = CancelOrder { order_id: order.id, reason: None, expected: Some(Version(2)) };
    let verdict = test.cancel(OfHero { hero_id: Some(hero_id), command }).await;
    let CancelVerdict::Cancelled(cancelled) = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        (cancelled.version, cancelled.message.as_deref()),
        (Version(3), Some(Reason::HeroRequest.message()))
    );
    assert_eq!(cancelled.started_time, order.started_time);
    assert_eq!(test.store.complete(worker, &[order.id]).await.expect("an answer"), []);
    assert_eq!(test.order(order.id).await, Some(cancelled));
}

on_both!(an_order_that_has_ended_is_not_cancelled);
async fn an_order_that_has_ended_is_not_cancelled(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.completed(worker, hero_id, meal_id).await;
    assert_eq!(test.cancel(cancel(order.id)).await, CancelVerdict::AlreadyFinished(order.clone()));
    test.delete(delete(order.id)).await;
    assert_eq!(test.cancel(cancel(order.id)).await, CancelVerdict::NotFound);
    let unknown = OrderId::new(order.id.get() + 1).expect("an id");
    assert_eq!(test.cancel(cancel(unknown)).await, CancelVerdict::NotFound);
}

on_both!(a_cancel_with_another_version_is_stale);
async fn a_cancel_with_another_version_is_stale(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let started = test.started(worker, hero_id, meal_id).await;
    let guarded = cancel_with(started.id, Some(1), "stale");
    assert_eq!(test.cancel(guarded.clone()).await, CancelVerdict::Stale(started.clone()));
    let completed =
        test.store.complete(worker, &[started.id]).await.expect("completions").remove(0);
    assert_eq!(test.cancel(guarded).await, CancelVerdict::Stale(completed.clone()));
    assert_eq!(test.delete(delete_if(started.id, 2)).await, DeleteVerdict::Stale(completed));
}

on_both!(the_order_of_another_hero_is_not_found);
async fn the_order_of_another_hero_is_not_found(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let other = Some(test.hero("Max", &[]).await.id);
    let order = test.place(hero_id, meal_id).await;
    let theirs = OfHero { hero_id: other, ..cancel_with(order.id, Some(9), "theirs") };
    assert_eq!(test.cancel(theirs).await, CancelVerdict::NotFound);
    assert_eq!(
        test.delete(OfHero { hero_id: other, ..delete(order.id) }).await,
        DeleteVerdict::NotFound
    );
    test.cancel(cancel(order.id)).await;
    assert_eq!(
        test.delete(OfHero { hero_id: other, ..delete(order.id) }).await,
        DeleteVerdict::NotFound
    );
    assert!(test.order(order.id).await.is_some());
}

on_both!(of_two_cancels_in_a_batch_the_first_that_fits_wins);
async fn of_two_cancels_in_a_batch_the_first_that_fits_wins(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let orders = test.place_many(hero_id, meal_id, 2).await;
    let requests = [
        cancel_with(orders[1].id, Some(2), "stale"),
        cancel_with(orders[1].id, None, "wins"),
        cancel_with(orders[1].id, Some(1), "late"),
        cancel(orders[0].id),
        cancel_with(orders[1].id, None, "late"),
    ];
    let verdicts = test.store.cancel(&requests).await.expect("verdicts");
    let winner = test.order(orders[1].id).await.expect("the order");
    assert_eq!((winner.version, winner.message.as_deref()), (Version(2), Some("wins")));
    assert_eq!(verdicts[0], CancelVerdict::AlreadyFinished(winner.clone()));
    assert_eq!(verdicts[1], CancelVerdict::Cancelled(winner.clone()));
    assert_eq!(verdicts[2], CancelVerdict::Stale(winner.clone()));
    assert!(
        matches!(&verdicts[3], CancelVerdict::Cancelled(order) if order.id == orders[0].id),
        "{verdicts:?}"
    );
    assert_eq!(verdicts[4], CancelVerdict::AlreadyFinished(winner));
}

on_both!(an_order_that_has_ended_is_deleted_one_version_up);
async fn an_order_that_has_ended_is_deleted_one_version_up(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.completed(worker, hero_id, meal_id).await;
    let request = OfHero { hero_id: Some(hero_id), ..delete_if(order.id, 3) };
    let verdict = test.delete(request).await;
    let DeleteVerdict::Deleted { deleted, hero_id: whose, time } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((deleted, whose), (Deleted { order_id: order.id, version: Version(4) }, hero_id));
    assert!(order.completed_time.is_some_and(|completed| completed <= time));
    assert_eq!(test.order(order.id).await, None);
    assert_eq!(test.delete(delete(order.id)).await, DeleteVerdict::NotFound);
    assert_eq!(test.store.totals().await.expect("totals").completed, 0);
}

on_both!(an_active_order_is_not_deleted);
async fn an_active_order_is_not_deleted(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let pending = test.place(hero_id, meal_id).await;
    let started = test.started(worker, hero_id, meal_id).await;
    assert_eq!(test.delete(delete(pending.id)).await, DeleteVerdict::NotFinished(pending));
    assert_eq!(test.delete(delete(started.id)).await, DeleteVerdict::NotFinished(started));
}

on_both!(of_two_deletes_in_a_batch_the_first_wins);
async fn of_two_deletes_in_a_batch_the_first_wins(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let order = test.place_and_cancel(hero_id, meal_id).await;
    let requests = [delete_if(order.id, 3), delete(order.id), delete(order.id)];
    let verdicts = test.store.delete(&requests).await.expect("verdicts");
    let deleted = Deleted { order_id: order.id, version: Version(3) };
    assert!(
        matches!(verdicts[1], DeleteVerdict::Deleted { deleted: found, .. } if found == deleted),
        "{verdicts:?}"
    );
    assert_eq!((&verdicts[0], &verdicts[2]), (&DeleteVerdict::NotFound, &DeleteVerdict::NotFound));
}
