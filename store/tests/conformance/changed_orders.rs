//! What changed since a cursor, in pages.

use std::collections::BTreeMap;

use galley_protocol::{Deleted, HeroId, MealId, OrderId, ResumeCursor, Version};
use galley_store::{CHANGES_PAGE, Changes, ChangesOfAll, ChangesRequest, Deletion, States};

use crate::order_snapshots::{caught_up, snapshot};
use crate::test_kitchen::{TestKitchen, cancel, delete};

async fn page(
    kitchen: &TestKitchen,
    hero_id: HeroId,
    since: ResumeCursor,
    after: Option<OrderId>,
) -> Changes {
    let pages = kitchen.store.changes(&[ChangesRequest { hero_id, since, after }]).await;
    pages.expect("pages").remove(0)
}

/// All pages, one after the other.
async fn pages(kitchen: &TestKitchen, hero_id: HeroId, since: ResumeCursor) -> Vec<Changes> {
    let mut pages = vec![page(kitchen, hero_id, since, None).await];
    while let Some(next) = pages[pages.len() - 1].next {
        pages.push(page(kitchen, hero_id, since, Some(next)).await);
    }
    pages
}

/// The ids on a page, with the versions that it tells.
fn told(page: &Changes) -> BTreeMap<OrderId, Version> {
    let orders = page.orders.iter().map(|order| (order.id, order.version));
    orders.chain(page.deleted.iter().map(|deleted| (deleted.order_id, deleted.version))).collect()
}

async fn place(
    kitchen: &TestKitchen,
    hero_id: HeroId,
    meal_id: MealId,
    count: usize,
) -> Vec<OrderId> {
    kitchen.place_ids(hero_id, meal_id, count).await
}

on_both!(pages_hold_every_change_once_by_rising_id);
async fn pages_hold_every_change_once_by_rising_id(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let other = kitchen.hero("Max", &[]).await.id;
    let since = snapshot(&kitchen, hero_id, None).await.cursor;
    let mut expected = BTreeMap::new();
    for _ in 0..4 {
        place(&kitchen, other, meal_id, 20).await;
        let ids = place(&kitchen, hero_id, meal_id, 130).await;
        expected.extend(ids.iter().map(|id| (*id, Version(1))));
        let ended: Vec<_> = ids.iter().copied().filter(|id| id.get() % 2 == 0).collect();
        kitchen
            .store
            .cancel(&ended.iter().copied().map(cancel).collect::<Vec<_>>())
            .await
            .expect("verdicts");
        expected.extend(ended.iter().map(|id| (*id, Version(2))));
        let gone: Vec<_> = ended.into_iter().filter(|id| id.get() % 3 == 0).collect();
        kitchen
            .store
            .delete(&gone.iter().copied().map(delete).collect::<Vec<_>>())
            .await
            .expect("verdicts");
        expected.extend(gone.into_iter().map(|id| (id, Version(3))));
    }
    let pages = pages(&kitchen, hero_id, since).await;
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
async fn a_page_that_is_just_full_is_the_last(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let since = snapshot(&kitchen, hero_id, None).await.cursor;
    let ids = place(&kitchen, hero_id, meal_id, CHANGES_PAGE).await;
    let full = page(&kitchen, hero_id, since, None).await;
    assert_eq!((full.orders.len(), full.next), (CHANGES_PAGE, None));
    let empty = page(&kitchen, hero_id, since, ids.last().copied()).await;
    assert_eq!((empty.orders.len(), empty.next), (0, None));
    assert!(empty.cursor >= full.cursor, "a page without changes has its moment too");
}

on_both!(what_changes_while_pages_are_read_is_after_the_first_cursor);
async fn what_changes_while_pages_are_read_is_after_the_first_cursor(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let since = snapshot(&kitchen, hero_id, None).await.cursor;
    let ids = place(&kitchen, hero_id, meal_id, 2 * CHANGES_PAGE - 1).await;
    let first = page(&kitchen, hero_id, since, None).await;
    let last = ids[ids.len() - 1];
    for id in [ids[0], last] {
        kitchen.cancel(cancel(id)).await;
    }
    kitchen.delete(delete(last)).await;
    let second = page(&kitchen, hero_id, since, first.next).await;
    assert_eq!(told(&first)[&ids[0]], Version(1));
    assert!(!told(&second).contains_key(&ids[0]));
    assert_eq!(second.deleted, [Deleted { order_id: last, version: Version(3) }]);
    let again = page(&kitchen, hero_id, first.cursor, None).await;
    assert_eq!(told(&again)[&ids[0]], Version(2));
}

on_both!(what_did_not_change_is_on_no_page);
async fn what_did_not_change_is_on_no_page(kitchen: TestKitchen) {
    let (hero_id, meal_id, worker) = kitchen.guest_and_worker().await;
    let cursor = snapshot(&kitchen, hero_id, None).await.cursor;
    let started = kitchen.started(worker, hero_id, meal_id).await;
    let completed = kitchen.completed(worker, hero_id, meal_id).await;
    let gone = kitchen.completed(worker, hero_id, meal_id).await;
    kitchen.delete(delete(gone.id)).await;
    let all = page(&kitchen, hero_id, cursor, None).await;
    assert_eq!(all.orders, [started, completed]);
    assert_eq!(all.deleted.len(), 1);
    let none = page(&kitchen, hero_id, caught_up(&kitchen).await, None).await;
    assert_eq!(
        (none.orders.len(), none.deleted.len(), none.next),
        (0, 0, None),
        "an active order is no change"
    );
}

on_both!(deletions_below_the_floor_are_told);
async fn deletions_below_the_floor_are_told(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let ids = place(&kitchen, hero_id, meal_id, 2).await;
    kitchen.cancel(cancel(ids[0])).await;
    kitchen.cancel(cancel(ids[1])).await;
    crate::safe_floor::settle(&kitchen).await;
    let cursor = snapshot(&kitchen, hero_id, None).await.cursor;
    assert!(cursor.floor > ids[1]);
    kitchen.delete(delete(ids[0])).await;
    let changes = page(&kitchen, hero_id, cursor, None).await;
    assert_eq!(
        (changes.orders.len(), changes.deleted),
        (0, vec![Deleted { order_id: ids[0], version: Version(3) }])
    );
    let of_all = kitchen.store.changes_of_all(cursor, None, 9).await.expect("changes");
    assert_eq!((of_all.orders.len(), of_all.deleted.len()), (0, 1));
}

on_both!(each_request_has_its_own_page);
async fn each_request_has_its_own_page(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let (other, idle) = (kitchen.hero("Max", &[]).await.id, kitchen.hero("Ann", &[]).await.id);
    let since = snapshot(&kitchen, hero_id, None).await.cursor;
    let ids = place(&kitchen, hero_id, meal_id, 3).await;
    place(&kitchen, other, meal_id, 1).await;
    let now = caught_up(&kitchen).await;
    let request = |hero_id, since, after| ChangesRequest { hero_id, since, after };
    let requests = [
        request(hero_id, since, None),
        request(idle, since, None),
        request(hero_id, since, Some(ids[1])),
        request(other, since, None),
        request(other, now, None),
    ];
    let pages = kitchen.store.changes(&requests).await.expect("pages");
    assert_eq!(pages.iter().map(|page| page.orders.len()).collect::<Vec<_>>(), [3, 0, 1, 1, 0]);
    assert_eq!(kitchen.store.changes(&[]).await.expect("no pages"), []);
}

fn all_ids(changes: &ChangesOfAll) -> Vec<OrderId> {
    changes.orders.iter().map(|order| order.id).collect()
}

on_both!(each_list_has_its_own_states);
async fn each_list_has_its_own_states(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let ids = place(&kitchen, hero_id, meal_id, 4).await;
    kitchen.store.cancel(&[cancel(ids[1]), cancel(ids[2])]).await.expect("verdicts");
    kitchen.store.delete(&[delete(ids[2])]).await.expect("verdicts");
    let unknown = OrderId::new(ids[3].get() + 1).expect("an id");
    let lists =
        [vec![ids[2], ids[1], ids[0]], Vec::new(), vec![unknown, ids[3], ids[1]], vec![unknown]];
    let states = kitchen.store.states(&lists).await.expect("states");
    let orders = states.iter().map(|states| {
        states.orders.iter().map(|order| (order.id, order.version.0)).collect::<Vec<_>>()
    });
    let expected =
        [vec![(ids[0], 1), (ids[1], 2)], Vec::new(), vec![(ids[1], 2), (ids[3], 1)], Vec::new()];
    assert_eq!(orders.collect::<Vec<_>>(), expected);
    assert_eq!(states[0].deleted, [Deleted { order_id: ids[2], version: Version(3) }]);
    assert_eq!(states[1..].iter().map(|states| states.deleted.len()).sum::<usize>(), 0);
    assert_eq!(kitchen.store.states(&[]).await.expect("states"), [] as [States; 0]);
}

on_both!(changes_of_all_are_the_newest_orders);
async fn changes_of_all_are_the_newest_orders(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let other = kitchen.hero("Max", &[]).await.id;
    let since = snapshot(&kitchen, hero_id, None).await.cursor;
    let mut ids =
        [place(&kitchen, hero_id, meal_id, 3).await, place(&kitchen, other, meal_id, 3).await]
            .concat();
    for id in [ids[0], ids[4]] {
        kitchen.cancel(cancel(id)).await;
        kitchen.delete(delete(id)).await;
    }
    let all = kitchen.store.changes_of_all(since, None, 100).await.expect("changes");
    let deletion = |hero_id, order_id| Deletion {
        hero_id,
        deleted: Deleted { order_id, version: Version(3) },
    };
    assert_eq!(all.deleted, [deletion(other, ids[4]), deletion(hero_id, ids[0])]);
    let some = kitchen.store.changes_of_all(since, None, 3).await.expect("changes");
    assert_eq!(
        (all_ids(&some), some.deleted),
        (vec![ids[5], ids[3]], vec![deletion(other, ids[4])])
    );
    let rest = kitchen.store.changes_of_all(since, Some(ids[3]), 3).await.expect("changes");
    assert_eq!(
        (all_ids(&rest), rest.deleted),
        (vec![ids[2], ids[1]], vec![deletion(hero_id, ids[0])]),
        "the next page"
    );
    ids.reverse();
    ids.retain(|id| all.deleted.iter().all(|deletion| deletion.deleted.order_id != *id));
    assert_eq!(all_ids(&all), ids);
}

on_both!(changes_of_all_are_no_older_than_the_cursor);
async fn changes_of_all_are_no_older_than_the_cursor(kitchen: TestKitchen) {
    let (hero_id, meal_id) = kitchen.guest().await;
    let since = snapshot(&kitchen, hero_id, None).await.cursor;
    let order = kitchen.place_and_cancel(hero_id, meal_id).await;
    kitchen.place(hero_id, meal_id).await;
    let all = kitchen.store.changes_of_all(since, None, 9).await.expect("changes");
    assert_eq!(all.orders.len(), 2);
    assert!(all.cursor.time >= order.order_time && all.cursor.floor <= kitchen.store.floor());
    let none =
        kitchen.store.changes_of_all(caught_up(&kitchen).await, None, 9).await.expect("changes");
    assert_eq!((none.orders.len(), none.deleted.len()), (0, 0), "active orders are no changes");
}
