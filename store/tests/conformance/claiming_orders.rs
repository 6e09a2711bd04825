//! Claiming and completing orders.

use std::collections::BTreeSet;
use std::time::Duration;

use galley_protocol::text::MAX_TEXT;
use galley_protocol::{OrderId, Reason, Status, Version};
use galley_store::{Claim, ClaimFrom, IdRange};

use crate::test_store::{LONG, TestStore, cancel, entries};

on_both!(a_claimed_order_is_in_progress_and_due_after_the_delay);
async fn a_claimed_order_is_in_progress_and_due_after_the_delay(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let ids = test.place_ids(hero_id, meal_id, 100).await;
    let delay = Duration::from_mins(1)..=Duration::from_mins(2);
    let claimed = test.store.claim(worker, entries(&ids, delay.clone())).await.expect("claims");
    assert_eq!(claimed.len(), 100);
    let slack = Duration::from_secs(30);
    assert!(
        claimed.iter().all(
            |claimed| claimed.due_in + slack > *delay.start() && claimed.due_in <= *delay.end()
        )
    );
    let spread = claimed
        .iter()
        .map(|claimed| claimed.due_in.as_secs())
        .collect::<std::collections::HashSet<_>>();
    assert!(spread.len() > 10, "each order has its own delay");
    let order = &claimed[0].order;
    assert_eq!(
        (order.status, order.version, order.completed_time),
        (Status::InProgress, Version(2), None)
    );
    assert!(order.started_time.is_some_and(|time| time >= order.order_time));
    assert_eq!(test.order(order.id).await.as_ref(), Some(order));
}

on_both!(a_delay_of_nothing_is_due_at_once);
async fn a_delay_of_nothing_is_due_at_once(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.place(hero_id, meal_id).await;
    let claimed = test
        .store
        .claim(worker, entries(&[order.id], Duration::ZERO..=Duration::ZERO))
        .await
        .expect("claims");
    assert_eq!(claimed[0].due_in, Duration::ZERO);
}

on_both!(only_pending_orders_are_claimed);
async fn only_pending_orders_are_claimed(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (one, other) = (test.worker().await, test.worker().await);
    let started = test.started(one, hero_id, meal_id).await.id;
    let cancelled = test.place(hero_id, meal_id).await.id;
    test.cancel(cancel(cancelled)).await;
    let completed = test.completed(one, hero_id, meal_id).await.id;
    let pending = test.place(hero_id, meal_id).await.id;
    let unknown = OrderId::new(999).expect("an id");
    let claimed =
        test.claim(other, &[unknown, started, cancelled, completed, pending, pending]).await;
    assert_eq!(claimed.iter().map(|claimed| claimed.order.id).collect::<Vec<_>>(), [pending]);
    assert!(test.claim(other, &[]).await.is_empty());
}

on_both!(the_oldest_are_claimed_without_entries);
async fn the_oldest_are_claimed_without_entries(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let orders = test.place_many(hero_id, meal_id, 5).await;
    let oldest = |after, age, limit| oldest(IdRange { after, until: None }, age, limit);
    assert!(
        test.store.claim(worker, oldest(None, LONG, 10)).await.expect("claims").is_empty(),
        "no order is that old"
    );
    let last = orders.iter().map(|order| order.id).max();
    assert!(
        test.store
            .claim(worker, oldest(last, Duration::ZERO, 10))
            .await
            .expect("claims")
            .is_empty(),
        "no order comes after the last one"
    );
    let before =
        orders.iter().map(|order| order.id.get() - 1).min().and_then(|id| OrderId::new(id).ok());
    let mut ids = Vec::new();
    for expected in [3, 2, 0] {
        let claimed =
            test.store.claim(worker, oldest(before, Duration::ZERO, 3)).await.expect("claims");
        assert_eq!(claimed.len(), expected);
        ids.extend(claimed.iter().map(|claimed| claimed.order.id));
    }
    ids[..3].sort_unstable();
    ids[3..].sort_unstable();
    assert_eq!(ids, orders.iter().map(|order| order.id).collect::<Vec<_>>());
}

/// A claim of the oldest PENDING orders.
fn oldest(ids: IdRange, age: Duration, limit: usize) -> Claim<'static> {
    Claim { from: ClaimFrom::Oldest { ids, age, limit }, delay: LONG..=LONG }
}

on_both!(the_oldest_are_claimed_within_a_range_of_ids);
async fn the_oldest_are_claimed_within_a_range_of_ids(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let ids = test.place_ids(hero_id, meal_id, 5).await;
    let claim = async |after: Option<usize>, until: Option<usize>, limit| {
        let range =
            IdRange { after: after.map(|index| ids[index]), until: until.map(|index| ids[index]) };
        let claimed =
            test.store.claim(worker, oldest(range, Duration::ZERO, limit)).await.expect("claims");
        claimed.iter().map(|claimed| claimed.order.id).collect::<BTreeSet<_>>()
    };
    assert_eq!(claim(Some(1), Some(1), 10).await, BTreeSet::new());
    assert_eq!(claim(Some(0), Some(2), 10).await, BTreeSet::from([ids[1], ids[2]]));
    assert_eq!(claim(None, Some(3), 1).await, BTreeSet::from([ids[0]]));
    assert_eq!(claim(Some(0), None, 10).await, BTreeSet::from([ids[3], ids[4]]));
}

on_both!(an_allergy_cancels_at_once_and_names_every_ingredient);
async fn an_allergy_cancels_at_once_and_names_every_ingredient(test: TestStore) {
    let hero = test.hero("Zoé", &["creme fraiche", "PEANUT", "milk"]).await;
    let meal = test
        .meal(
            "Satay",
            &["Crème  Fraîche", "rice", "peanut", "peanuts", "cre\u{300}me frai\u{302}che"],
        )
        .await;
    let worker = test.worker().await;
    let order = test.place(hero.id, meal.id).await;
    let claimed = test.claim(worker, &[order.id]).await.remove(0);
    let cancelled = claimed.order;
    assert_eq!(
        (cancelled.status, cancelled.version, cancelled.reason),
        (Status::Cancelled, Version(3), Some(Reason::Allergy))
    );
    assert_eq!(
        cancelled.message.as_deref(),
        Some("Allergy conflict: Crème  Fraîche, peanut, cre\u{300}me frai\u{302}che")
    );
    assert!(cancelled.started_time.is_some() && cancelled.completed_time == cancelled.started_time);
    assert_eq!(claimed.due_in, Duration::ZERO);
    assert_eq!(test.order(order.id).await, Some(cancelled));
}

on_both!(allergies_of_others_do_not_matter);
async fn allergies_of_others_do_not_matter(test: TestStore) {
    test.hero("Max", &["milk"]).await;
    let (hero, other) =
        (test.hero("Zoé", &["eggs"]).await.id, test.hero("Ann", &["milk"]).await.id);
    let meal = test.meal("Shake", &["milk"]).await.id;
    let worker = test.worker().await;
    let ids = [test.place(hero, meal).await.id, test.place(other, meal).await.id];
    let claimed = test.claim(worker, &ids).await;
    assert_eq!(
        claimed.iter().map(|claimed| claimed.order.status).collect::<Vec<_>>(),
        [Status::InProgress, Status::Cancelled]
    );
}

on_both!(a_long_message_is_cut);
async fn a_long_message_is_cut(test: TestStore) {
    let names: Vec<String> =
        (0..100).map(|number| format!("{}{number:03}", "é".repeat(197))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hero = test.hero("Zoé", &names).await;
    let worker = test.worker().await;
    // The message has 18 characters before the list and 2 between its entries. Ten entries make it
    // one character too long; the second meal just fits.
    let meal = test.meal("Everything", &names).await;
    let order = test.place(hero.id, meal.id).await;
    let message = test.claim(worker, &[order.id]).await.remove(0).order.message.expect("a message");
    assert_eq!(message.chars().count(), MAX_TEXT);
    assert!(message.starts_with("Allergy conflict: ééé") && message.ends_with('…'), "{message}");
    let fits = "x".repeat(MAX_TEXT - 18 - 9 * 202);
    let hero = test.hero("Max", &[&names[..], &[&fits]].concat()[91..]).await;
    let meal = test.meal("Just", &[&names[91..], &[&fits]].concat()).await;
    let order = test.place(hero.id, meal.id).await;
    let message = test.claim(worker, &[order.id]).await.remove(0).order.message.expect("a message");
    assert_eq!((message.chars().count(), message.ends_with('x')), (MAX_TEXT, true));
}

on_both!(a_hero_or_meal_that_is_gone_cancels_before_the_start);
async fn a_hero_or_meal_that_is_gone_cancels_before_the_start(test: TestStore) {
    let worker = test.worker().await;
    for (table, reason) in [("heroes", Reason::HeroGone), ("meals", Reason::MealGone)] {
        let (hero_id, meal_id) = test.guest().await;
        let order = test.place(hero_id, meal_id).await;
        let now = test.database.seconds_ago(0);
        test.database
            .sql(&format!("update {table} set deleted_time = {now}"))
            .await
            .expect("the row is marked as deleted in spite of its orders");
        let cancelled = test.claim(worker, &[order.id]).await.remove(0).order;
        assert_eq!(
            (cancelled.status, cancelled.version, cancelled.reason),
            (Status::Cancelled, Version(2), Some(reason))
        );
        assert_eq!(
            (cancelled.message.as_deref(), cancelled.started_time),
            (Some(reason.message()), None)
        );
        assert!(cancelled.completed_time.is_some());
    }
}

on_both!(only_the_owner_completes);
async fn only_the_owner_completes(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (one, other) = (test.worker().await, test.worker().await);
    let started = test.started(one, hero_id, meal_id).await;
    let pending = test.place(hero_id, meal_id).await;
    assert_eq!(test.store.complete(other, &[started.id, pending.id]).await.expect("an answer"), []);
    let completed =
        test.store.complete(one, &[pending.id, started.id, started.id]).await.expect("completions");
    assert_eq!(completed.len(), 1);
    let order = &completed[0];
    assert_eq!(
        (order.id, order.status, order.version),
        (started.id, Status::Completed, Version(3))
    );
    assert_eq!(
        (order.started_time, order.reason, &order.message),
        (started.started_time, None, &None)
    );
    assert!(order.completed_time >= order.started_time);
    assert_eq!(test.store.complete(one, &[started.id]).await.expect("an answer"), []);
    assert_eq!(test.order(started.id).await.as_ref(), Some(order));
}
