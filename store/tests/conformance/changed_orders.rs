//! Pages of changes since a cursor.

use std::collections::BTreeMap;

use galley_protocol::{Deleted, HeroId, MealId, OrderId, ResumeCursor, Version};
use galley_store::{CHANGES_PAGE, Changes, ChangesOfAll, ChangesRequest, Deletion, States};

use crate::order_snapshots::{caught_up, snapshot};
use crate::test_store::{TestStore, cancel, delete};

async fn page(
    test: &TestStore,
    hero_id: HeroId,
    since: ResumeCursor,
    after: Option<OrderId>,
) -> Changes {
    let pages = test.store.changes(&[ChangesRequest { hero_id, since, after }]).await;
    pages.expect("pages").remove(0)
}

/// Reads all pages.
async fn pages(test: &TestStore, hero_id: HeroId, since: ResumeCursor) -> Vec<Changes> {
    let mut pages = vec![page(test, hero_id, since, None).await];
    while let Some(next) = pages[pages.len() - 1].next {
        pages.push(page(test, hero_id, since, Some(next)).await);
    }
    pages
}

/// The ids on a page with their versions.
fn told(page: &Changes) -> BTreeMap<OrderId, Version> {
    let orders = page.orders.iter().map(|order| (order.id, order.version));
    orders.chain(page.deleted.iter().map(|deleted| (deleted.order_id, deleted.version))).collect()
}

async fn place(test: &TestStore, hero_id: HeroId, meal_id: MealId, count: usize) -> Vec<OrderId> {
    test.place_ids(hero_id, meal_id, count).await
}

on_both!(pages_hold_every_change_once_by_rising_id);
async fn pages_hold_every_change_once_by_rising_id(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let other = test.hero("Max", &[]).await.id;
    let since = snapshot(&test, hero_id, None).await.cursor;
    let mut expected = BTreeMap::new();
    for _ in 0..4 {
        place(&test, other, meal_id, 20).await;
        let ids = place(&test, hero_id, meal_id, 130).await;
        expected.extend(ids.iter().map(|id| (*id, Version(1))));
        let ended: Vec<_> = ids.iter().copied().filter(|id| id.get() % 2 == 0).collect();
        test.store
            .cancel(&ended.iter().copied().map(cancel).collect::<Vec<_>>())
            .await
            .expect("verdicts");
        expected.extend(ended.iter().map(|id| (*id, Version(2))));
        let gone: Vec<_> = ended.into_iter().filter(|id| id.get() % 3 == 0).collect();
        test.store
            .delete(&gone.iter().copied().map(delete).collect::<Vec<_>>())
            .await
            .expect("verdicts");
        expected.extend(gone.into_iter().map(|id| (id, Version(3))));
    }
    let pages = pages(&test, hero_id, since).await;
    let mut seen = BTreeMap::new();
    for (at, page) in pages.iter().enumerate() {
        let told = told(page);
        let last_page = at == pages.len() - 1;
        assert_eq!(told.len() == CHANGES_PAGE, !last_page, "all pages but the last are full");
        assert_eq!(page.next, told.keys().next_back().copied().filter(|_| !last_page));
        assert!(told.keys().next() > seen.keys().next_back(), "ids rise from page to page");
        assert!(
            page.orders.is_sorted_by_key(|order| order.id)
                && page.deleted.is_sorted_by_key(|deleted| deleted.order_id)
        );
        seen.extend(told);
    }
    assert_eq!(pages.len(), 3);
    assert_eq!(seen, expected);
}

on_both!(a_page_that_is_just_full_is_the_last);
async fn a_page_that_is_just_full_is_the_last(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let since = snapshot(&test, hero_id, None).await.cursor;
    let ids = place(&test, hero_id, meal_id, CHANGES_PAGE).await;
    let full = page(&test, hero_id, since, None).await;
    assert_eq!((full.orders.len(), full.next), (CHANGES_PAGE, None));
    let empty = page(&test, hero_id, since, ids.last().copied()).await;
    assert_eq!((empty.orders.len(), empty.next), (0, None));
    assert!(empty.cursor >= full.cursor, "an empty page has a cursor, too");
}

on_both!(what_changes_while_pages_are_read_is_after_the_first_cursor);
async fn what_changes_while_pages_are_read_is_after_the_first_cursor(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let since = snapshot(&test, hero_id, None).await.cursor;
    let ids = place(&test, hero_id, meal_id, 2 * CHANGES_PAGE - 1).await;
    let first = page(&test, hero_id, since, None).await;
    let last = ids[ids.len() - 1];
    for id in [ids[0], last] {
        test.cancel(cancel(id)).await;
    }
    test.delete(delete(last)).await;
    let second = page(&test, hero_id, since, first.next).await;
    assert_eq!(told(&first)[&ids[0]], Version(1));
    assert!(!told(&second).contains_key(&ids[0]));
    assert_eq!(second.deleted, [Deleted { order_id: last, version: Version(3) }]);
    let again = page(&test, hero_id, first.cursor, None).await;
    assert_eq!(told(&again)[&ids[0]], Version(2));
}

on_both!(what_did_not_change_is_on_no_page);
async fn what_did_not_change_is_on_no_page(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    let started = test.started(worker, hero_id, meal_id).await;
    let completed = test.completed(worker, hero_id, meal_id).await;
    let gone = test.completed(worker, hero_id, meal_id).await;
    test.delete(delete(gone.id)).await;
    let all = page(&test, hero_id, cursor, None).await;
    assert_eq!(all.orders, [started, completed]);
    assert_eq!(all.deleted.len(), 1);
    let none = page(&test, hero_id, caught_up(&test).await, None).await;
    assert_eq!(
        (none.orders.len(), none.deleted.len(), none.next),
        (0, 0, None),
        "an active order that did not change is omitted"
    );
}

on_both!(deletions_below_the_floor_are_told);
async fn deletions_below_the_floor_are_told(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let ids = place(&test, hero_id, meal_id, 2).await;
    test.cancel(cancel(ids[0])).await;
    test.cancel(cancel(ids[1])).await;
    crate::safe_low_watermark::settle(&test).await;
    let cursor = snapshot(&test, hero_id, None).await.cursor;
    assert!(cursor.low_watermark > ids[1]);
    test.delete(delete(ids[0])).await;
    let changes = page(&test, hero_id, cursor, None).await;
    assert_eq!(
        (changes.orders.len(), changes.deleted),
        (0, vec![Deleted { order_id: ids[0], version: Version(3) }])
    );
    let of_all = test.store.changes_of_all(cursor, None, 9).await.expect("changes");
    assert_eq!((of_all.orders.len(), of_all.deleted.len()), (0, 1));
}

on_both!(each_request_has_its_own_page);
async fn each_request_has_its_own_page(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (other, idle) = (test.hero("Max", &[]).await.id, test.hero("Ann", &[]).await.id);
    let since = snapshot(&test, hero_id, None).await.cursor;
    let ids = place(&test, hero_id, meal_id, 3).await;
    place(&test, other, meal_id, 1).await;
    let now = caught_up(&test).await;
    let request = |hero_id, since, after| ChangesRequest { hero_id, since, after };
    let requests = [
        request(hero_id, since, None),
        request(idle, since, None),
        request(hero_id, since, Some(ids[1])),
        request(other, since, None),
        request(other, now, None),
    ];
    let pages = test.store.changes(&requests).await.expect("pages");
    assert_eq!(pages.iter().map(|page| page.orders.len()).collect::<Vec<_>>(), [3, 0, 1, 1, 0]);
    assert_eq!(test.store.changes(&[]).await.expect("no pages"), []);
}

fn all_ids(changes: &ChangesOfAll) -> Vec<OrderId> {
    changes.orders.iter().map(|order| order.id).collect()
}

on_both!(each_list_has_its_own_states);
async fn each_list_has_its_own_states(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let ids = place(&test, hero_id, meal_id, 4).await;
    test.store.cancel(&[cancel(ids[1]), cancel(ids[2])]).await.expect("verdicts");
    test.store.delete(&[delete(ids[2])]).await.expect("verdicts");
    let unknown = OrderId::new(ids[3].get() + 1).expect("an id");
    let lists =
        [vec![ids[2], ids[1], ids[0]], Vec::new(), vec![unknown, ids[3], ids[1]], vec![unknown]];
    let states = test.store.states(&lists).await.expect("states");
    let orders = states.iter().map(|states| {
        states.orders.iter().map(|order| (order.id, order.version.0)).collect::<Vec<_>>()
    });
    let expected =
        [vec![(ids[0], 1), (ids[1], 2)], Vec::new(), vec![(ids[1], 2), (ids[3], 1)], Vec::new()];
    assert_eq!(orders.collect::<Vec<_>>(), expected);
    assert_eq!(states[0].deleted, [Deleted { order_id: ids[2], version: Version(3) }]);
    assert_eq!(states[1..].iter().map(|states| states.deleted.len()).sum::<usize>(), 0);
    assert_eq!(test.store.states(&[]).await.expect("states"), [] as [States; 0]);
}

on_both!(changes_of_all_are_the_newest_orders);
async fn changes_of_all_are_the_newest_orders(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let other = test.hero("Max", &[]).await.id;
    let since = snapshot(&test, hero_id, None).await.cursor;
    let mut ids =
        [place(&test, hero_id, meal_id, 3).await, place(&test, other, meal_id, 3).await].concat();
    for id in [ids[0], ids[4]] {
        test.cancel(cancel(id)).await;
        test.delete(delete(id)).await;
    }
    let all = test.store.changes_of_all(since, None, 100).await.expect("changes");
    let deletion = |hero_id, order_id| Deletion {
        hero_id,
        deleted: Deleted { order_id, version: Version(3) },
    };
    assert_eq!(all.deleted, [deletion(other, ids[4]), deletion(hero_id, ids[0])]);
    let some = test.store.changes_of_all(since, None, 3).await.expect("changes");
    assert_eq!(
        (all_ids(&some), some.deleted),
        (vec![ids[5], ids[3]], vec![deletion(other, ids[4])])
    );
    let rest = test.store.changes_of_all(since, Some(ids[3]), 3).await.expect("changes");
    assert_eq!(
        (all_ids(&rest), rest.deleted),
        (vec![ids[2], ids[1]], vec![deletion(hero_id, ids[0])]),
        "the next page continues below `before`"
    );
    ids.reverse();
    ids.retain(|id| all.deleted.iter().all(|deletion| deletion.deleted.order_id != *id));
    assert_eq!(all_ids(&all), ids);
}

on_both!(changes_of_all_are_no_older_than_the_cursor);
async fn changes_of_all_are_no_older_than_the_cursor(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let since = snapshot(&test, hero_id, None).await.cursor;
    let order = test.place_and_cancel(hero_id, meal_id).await;
    test.place(hero_id, meal_id).await;
    let all = test.store.changes_of_all(since, None, 9).await.expect("changes");
    assert_eq!(all.orders.len(), 2);
    assert!(
        all.cursor.time >= order.order_time
            && all.cursor.low_watermark <= test.store.low_watermark()
    );
    let none = test.store.changes_of_all(caught_up(&test).await, None, 9).await.expect("changes");
    assert_eq!(
        (none.orders.len(), none.deleted.len()),
        (0, 0),
        "active orders that did not change are omitted"
    );
}
