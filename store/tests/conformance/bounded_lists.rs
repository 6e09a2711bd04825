//! A page of a list looks at a bounded number of rows.

use std::time::{Duration, Instant};

use galley_protocol::frame::Page;
use galley_protocol::{
    HeroId, ListOrders, MealId, OfHero, OrderView, PageCursor, Status, Timestamp,
};
use galley_store::{ListPage, SEARCHED};

use crate::test_store::TestStore;

/// Far more than a page needs, and far less than a search of everything.
const SOON: Duration = Duration::from_secs(2);

/// Adds completed orders, the newest placed `youngest` seconds ago, each a second after the one
/// before.
pub(crate) async fn history(
    test: &TestStore,
    hero_id: HeroId,
    meal_id: MealId,
    count: usize,
    youngest: u64,
) {
    let (time, step) = if test.database.is_sqlite() {
        (test.database.seconds_ago(youngest), "(number * 1000)".to_owned())
    } else {
        (test.database.seconds_ago(youngest), "number * interval '1 second'".to_owned())
    };
    let time = format!("({time} - {step})");
    let orders = format!(
        "insert into orders (hero_id, meal_id, status, version, order_time, started_time, completed_time)
         with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number < {count})
         select {hero_id}, {meal_id}, 2, 3, {time}, {time}, {time} from numbers order by number desc"
    );
    test.database.sql(&orders).await.expect("a history");
}

async fn list(test: &TestStore, filter: &OfHero<ListOrders>) -> Page<OrderView> {
    let began = Instant::now();
    let page = test.store.orders(filter).await.expect("a page");
    assert!(began.elapsed() < SOON, "{filter:?}: {:?}", began.elapsed());
    page
}

/// Follows a list to its end. Returns the ids, and the number of pages.
async fn whole(test: &TestStore, mut filter: OfHero<ListOrders>) -> (Vec<i64>, usize) {
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let page = list(test, &filter).await;
        ids.extend(page.items.iter().map(|view| view.order.id.get()));
        pages += 1;
        filter.command.cursor = page.next_cursor;
        if filter.command.cursor.is_none() {
            return (ids, pages);
        }
    }
}

on_both!(a_search_that_finds_nothing_ends_early_and_goes_on);
async fn a_search_that_finds_nothing_ends_early_and_goes_on(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let (other, _) = test.guest().await;
    let first = test.place_and_cancel(hero_id, meal_id).await.id.get();
    history(&test, hero_id, meal_id, 3 * SEARCHED, 10).await;
    let cancelled = ListOrders { status: vec![Status::Cancelled], ..ListOrders::default() };
    for (hero, meal) in [(None, None), (Some(hero_id), None), (None, Some(meal_id))] {
        let command = ListOrders { meal_id: meal, ..cancelled.clone() };
        let filter = OfHero { hero_id: hero, command };
        let page = list(&test, &filter).await;
        assert_eq!(page.items.len(), 0, "{filter:?}");
        let reached = page.next_cursor.map(PageCursor::get).expect("it goes on");
        assert!(reached > first, "{filter:?}");
        assert_eq!(whole(&test, filter).await, (vec![first], 4));
    }
    // Indexes lead past the orders of others.
    let unknown = MealId::new(999).expect("an id");
    for (hero, meal) in [(Some(other), None), (None, Some(unknown))] {
        let command = ListOrders { meal_id: meal, ..ListOrders::default() };
        assert_eq!(whole(&test, OfHero { hero_id: hero, command }).await, (vec![], 1));
    }
}

on_both!(a_page_is_cut_where_the_search_ended);
async fn a_page_is_cut_where_the_search_ended(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let old: Vec<i64> =
        test.place_ids(hero_id, meal_id, 2).await.iter().map(|id| id.get()).collect();
    history(&test, hero_id, meal_id, SEARCHED - 1, 10).await;
    let new = test.place(hero_id, meal_id).await.id.get();
    let status = vec![Status::Pending];
    // The floor would spare the search of ended orders; another status takes it away.
    let command =
        ListOrders { status: [status, vec![Status::Cancelled]].concat(), ..ListOrders::default() };
    let filter = OfHero { hero_id: None, command };
    let page = list(&test, &filter).await;
    let ids: Vec<i64> = page.items.iter().map(|view| view.order.id.get()).collect();
    assert_eq!(ids, [new], "the others lie behind the bound");
    assert_eq!(whole(&test, filter).await, (vec![new, old[1], old[0]], 2));
}

on_both!(orders_are_found_by_their_order_time);
async fn orders_are_found_by_their_order_time(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    history(&test, hero_id, meal_id, 2 * SEARCHED, 3_600).await;
    let new = test.place_ids(hero_id, meal_id, 3).await;
    let ids: Vec<i64> = new.iter().rev().map(|id| id.get()).collect();
    let now = test.order(new[2]).await.expect("the order").order_time;
    let (from, to) = (Some(now.minus_millis(60_000)), Some(now.minus_millis(-1)));
    let between = |from, to| ListOrders { from, to, limit: 2, ..ListOrders::default() };
    for hero_id in [None, Some(hero_id)] {
        let (found, pages) = whole(&test, OfHero { hero_id, command: between(from, to) }).await;
        assert_eq!(found, ids, "{hero_id:?}");
        assert!(hero_id.is_some() || pages == 2, "by time alone nothing older is looked at");
    }
    let before = |to: Option<Timestamp>, from| OfHero { hero_id: None, command: between(from, to) };
    let last_hour = now.minus_millis(3_590_000);
    let oldest = Some(now.minus_millis(3_610_500));
    let (older, _) = whole(&test, before(Some(last_hour), oldest)).await;
    assert!(older.len() == 9 || older.len() == 10, "one a second: {older:?}");
    assert!(older.is_sorted_by(|one, other| one > other), "the newest first");
    let none = whole(&test, before(oldest, Some(last_hour))).await;
    assert_eq!(none, (vec![], 1), "an empty range of time");
}

on_both!(names_are_searched_in_steps);
async fn names_are_searched_in_steps(test: TestStore) {
    let many = if test.database.is_sqlite() { "'[]', '[]'" } else { "'{}', '{}'" };
    let heroes = format!(
        "insert into heroes (name, name_folded, planet, allergies, allergies_folded, folded_rule, folded_version)
         with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number < {})
         select 'Sam', 'sam', 'Earth', {many}, 2, 1 from numbers",
        2 * SEARCHED
    );
    test.database.sql(&heroes).await.expect("many heroes");
    let last = test.hero("Zoé", &[]).await.id;
    let (mut found, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let page = ListPage { limit: 10, after, name_contains: Some("zoe".to_owned()) };
        let began = Instant::now();
        let page = test.store.heroes().list(&page).await.expect("a page");
        assert!(began.elapsed() < SOON);
        found.extend(page.items.iter().map(|hero| hero.id));
        pages += 1;
        after = page.next_cursor;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (vec![last], 3));
}
