//! Creating, changing and deleting heroes and meals.

use std::time::Duration;

use futures_util::future::join_all;
use galley_protocol::{
    HeroId, HeroName, HeroPatch, IdempotencyKey, MealId, MealPatch, PageCursor, Price, Version,
};
use galley_store::{ChangeError, Creation, ListPage};
use serde_json::json;

use crate::safe_low_watermark::pass;
use crate::test_store::{TestStore, cancel, new_hero, new_meal};

fn page(limit: usize, after: Option<i64>, name: Option<&str>) -> ListPage {
    ListPage { limit, after: after.map(PageCursor::after), name_contains: name.map(str::to_owned) }
}

on_both!(what_is_created_can_be_read);
async fn what_is_created_can_be_read(test: TestStore) {
    let hero = test.hero("Zoé \u{1f9b8}", &["Crème fraîche", "nuts, \"all\" of them"]).await;
    let new = new_hero("Zoé \u{1f9b8}", &["Crème fraîche", "nuts, \"all\" of them"]);
    assert_eq!(
        (&hero.name, &hero.planet, &hero.allergies, hero.version),
        (&new.name, &new.planet, &new.allergies, Version::FIRST)
    );
    assert_eq!(test.store.heroes().get(hero.id).await.expect("an answer"), Some(hero));
    let mut new = new_meal("Soup", &["water", "water"]);
    new.price = Price::from_hundredths(galley_protocol::price::MAX_HUNDREDTHS).expect("a price");
    let meal = test.store.meals().create(&new).await.expect("a meal");
    assert_eq!(
        (&meal.name, &meal.ingredients, meal.price),
        (&new.name, &new.ingredients, new.price)
    );
    assert_eq!((&meal.origin_planet, &meal.description), (&new.origin_planet, &new.description));
    assert_eq!(test.store.meals().get(meal.id).await.expect("an answer"), Some(meal));
    let unknown = HeroId::new(galley_protocol::id::MAX_ID).expect("an id");
    assert_eq!(test.store.heroes().get(unknown).await.expect("an answer"), None);
}

on_both!(lists_come_in_pages);
async fn lists_come_in_pages(test: TestStore) {
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(test.hero(&format!("Hero {number}"), &[]).await.id);
        test.meal(&format!("Meal {number}"), &[]).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let heroes = test.store.heroes().list(&page(2, after, None)).await.expect("a page");
        seen.extend(heroes.items.iter().map(|hero| hero.id));
        let Some(next) = heroes.next_cursor else { break };
        after = Some(next.get());
    }
    assert_eq!(seen, ids);
    let meals = test.store.meals().list(&page(3, None, None)).await.expect("a page");
    assert_eq!((meals.items.len(), meals.next_cursor.is_some()), (3, true));
}

on_both!(a_search_does_not_care_for_case_or_accents);
async fn a_search_does_not_care_for_case_or_accents(test: TestStore) {
    test.hero("La  Crème Brûlée", &[]).await;
    test.hero("100%_sure", &[]).await;
    test.meal("Crème", &[]).await;
    for (name, found) in
        [("creme BRULEE", 1), ("a c", 1), ("%", 1), ("_", 1), ("%s", 0), ("", 2), ("e", 2)]
    {
        let heroes = test.store.heroes().list(&page(50, None, Some(name))).await.expect("a page");
        assert_eq!((heroes.items.len(), heroes.next_cursor), (found, None), "{name:?}");
    }
    assert_eq!(
        test.store.meals().list(&page(50, None, Some("ÈME"))).await.expect("a page").items.len(),
        1
    );
}

on_both!(a_replacement_changes_every_field);
async fn a_replacement_changes_every_field(test: TestStore) {
    let hero = test.hero("Zoé", &["milk"]).await;
    let changed = test
        .store
        .heroes()
        .update(hero.id, &new_hero("Max", &[]).into(), Some(Version(1)))
        .await
        .expect("a change");
    assert_eq!(
        (changed.name.as_str(), changed.allergies.len(), changed.version),
        ("Max", 0, Version(2))
    );
    assert_eq!(
        test.store.heroes().list(&page(1, None, Some("max"))).await.expect("a page").items,
        [changed]
    );
    let meal = test.meal("Soup", &["water"]).await;
    let changed =
        test.store.meals().update(meal.id, &new_meal("Stew", &["beef", "rice"]).into(), None).await;
    let changed = changed.expect("a change");
    assert_eq!(
        (changed.name.as_str(), changed.ingredients.len(), changed.version),
        ("Stew", 2, Version(2))
    );
    let unknown = HeroId::new(hero.id.get() + 1).expect("an id");
    let refused = test.store.heroes().update(unknown, &new_hero("Max", &[]).into(), None).await;
    assert!(matches!(refused, Err(ChangeError::NotFound)), "{refused:?}");
}

on_both!(a_patch_leaves_the_other_fields);
async fn a_patch_leaves_the_other_fields(test: TestStore) {
    let hero = test.hero("Zoé", &["milk"]).await;
    let patch =
        HeroPatch { name: Some(HeroName::parse("Max").expect("a name")), ..HeroPatch::default() };
    let changed = test.store.heroes().update(hero.id, &patch, None).await.expect("a change");
    assert_eq!(
        (changed.name.as_str(), &changed.allergies, &changed.planet),
        ("Max", &hero.allergies, &hero.planet)
    );
    let meal = test.meal("Soup", &["water"]).await;
    let patch = MealPatch {
        price: Some(Price::from_hundredths(5).expect("a price")),
        ..MealPatch::default()
    };
    let changed =
        test.store.meals().update(meal.id, &patch, Some(Version(1))).await.expect("a change");
    assert_eq!(
        (changed.price.hundredths(), &changed.name, &changed.ingredients),
        (5, &meal.name, &meal.ingredients)
    );
}

on_both!(a_stale_version_changes_nothing);
async fn a_stale_version_changes_nothing(test: TestStore) {
    let (hero_id, meal_id) = test.guest().await;
    let refused =
        test.store.heroes().update(hero_id, &HeroPatch::default(), Some(Version(2))).await;
    assert!(matches!(refused, Err(ChangeError::Stale)), "{refused:?}");
    let refused =
        test.store.meals().update(meal_id, &new_meal("Stew", &[]).into(), Some(Version(7))).await;
    assert!(matches!(refused, Err(ChangeError::Stale)), "{refused:?}");
    let refused = test.store.heroes().remove(hero_id, Some(Version(2))).await;
    assert!(matches!(refused, Err(ChangeError::Stale)), "{refused:?}");
    let refused = test.store.meals().remove(meal_id, Some(Version(2))).await;
    assert!(matches!(refused, Err(ChangeError::Stale)), "{refused:?}");
    assert_eq!(
        test.store.meals().get(meal_id).await.expect("an answer").map(|meal| meal.version),
        Some(Version(1))
    );
}

on_both!(changes_at_the_same_moment_are_all_made);
async fn changes_at_the_same_moment_are_all_made(test: TestStore) {
    let (hero, meal) = (test.hero("Zoé", &[]).await, test.meal("Soup", &[]).await);
    let patches = [
        json!({"name": "Max"}),
        json!({"planet": "Venus"}),
        json!({"allergies": ["milk"]}),
        json!({}),
    ];
    let heroes = (0..100).map(async |n: usize| {
        let patch = HeroPatch::from_json(patches[n % 4].clone()).expect("a patch");
        test.store.heroes().update(hero.id, &patch, None).await
    });
    let meals = (0..100).map(async |n| {
        let patch =
            if n % 2 == 0 { new_meal("Stew", &["beef"]).into() } else { MealPatch::default() };
        test.store.meals().update(meal.id, &patch, None).await
    });
    let (heroes, meals) = tokio::join!(join_all(heroes), join_all(meals));
    let mut versions: Vec<i32> =
        heroes.into_iter().map(|changed| changed.expect("a change").version.0).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=101).collect::<Vec<_>>());
    assert!(meals.iter().all(Result::is_ok), "{meals:?}");
    let hero = test.store.heroes().get(hero.id).await.expect("an answer").expect("the hero");
    assert_eq!(
        (hero.name.as_str(), hero.planet.as_str(), hero.allergies.len()),
        ("Max", "Venus", 1),
        "concurrent changes of different fields are merged"
    );
    let meal = test.store.meals().get(meal.id).await.expect("an answer").expect("the meal");
    assert_eq!(
        (meal.name.as_str(), meal.ingredients.len(), meal.version),
        ("Stew", 1, Version(101))
    );
}

on_both!(a_key_creates_one_hero_and_one_meal);
async fn a_key_creates_one_hero_and_one_meal(test: TestStore) {
    let key = IdempotencyKey::parse("a").expect("a key");
    let (hero, meal) = (new_hero("Zoé", &["milk"]), new_meal("Soup", &["water"]));
    let twins = tokio::join!(
        test.store.heroes().create_once(&hero, Some(&key)),
        test.store.heroes().create_once(&hero, Some(&key))
    );
    let created = match twins {
        (Ok(Creation::Created(created)), Ok(Creation::Replayed(replayed)))
        | (Ok(Creation::Replayed(replayed)), Ok(Creation::Created(created)))
            if created == replayed =>
        {
            created
        }
        others => panic!("one creates, the other replays: {others:?}"),
    };
    assert!(
        matches!(test.store.meals().create_once(&meal, Some(&key)).await, Ok(Creation::Created(_))),
        "heroes and meals have separate keys"
    );
    let other = test
        .store
        .heroes()
        .create_once(&new_hero("Zoé", &[]), Some(&key))
        .await
        .expect("a verdict");
    assert_eq!(other, Creation::KeyReused);
    let patch = HeroPatch::from_json(json!({"name": "Max"})).expect("a patch");
    let changed = test.store.heroes().update(created.id, &patch, None).await.expect("a change");
    assert_eq!(
        test.store.heroes().create_once(&hero, Some(&key)).await.expect("a verdict"),
        Creation::Replayed(changed)
    );
    let heroes = test.store.heroes().list(&page(50, None, None)).await.expect("a page");
    assert_eq!(heroes.items.len(), 1);
}

on_both!(the_key_of_a_creation_is_forgotten_after_a_day_and_an_hour);
async fn the_key_of_a_creation_is_forgotten_after_a_day_and_an_hour(test: TestStore) {
    let (hero, meal) = (new_hero("Zoé", &[]), new_meal("Soup", &[]));
    let key = IdempotencyKey::parse("a").expect("a key");
    let create = async || {
        let hero = test.store.heroes().create_once(&hero, Some(&key)).await.expect("a verdict");
        let meal = test.store.meals().create_once(&meal, Some(&key)).await.expect("a verdict");
        (matches!(hero, Creation::Created(_)), matches!(meal, Creation::Created(_)))
    };
    assert_eq!(create().await, (true, true));
    let ago = async |hours: u64| {
        for table in ["heroes", "meals"] {
            let moment = test.database.seconds_ago(hours * 3_600);
            test.database
                .sql(&format!("update {table} set creation_time = {moment}"))
                .await
                .expect("an older key");
        }
        test.store.maintain().await.expect("maintenance succeeds");
    };
    ago(24).await;
    assert_eq!(create().await, (false, false));
    pass(Duration::from_secs(31)).await;
    ago(26).await;
    assert_eq!(create().await, (true, true));
}

on_both!(what_has_active_orders_cannot_be_removed);
async fn what_has_active_orders_cannot_be_removed(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.place(hero_id, meal_id).await;
    for _ in ["PENDING", "IN_PROGRESS"] {
        let refused = test.store.heroes().remove(hero_id, None).await;
        assert!(matches!(refused, Err(ChangeError::HasActiveOrders)), "{refused:?}");
        let refused = test.store.meals().remove(meal_id, Some(Version(1))).await;
        assert!(matches!(refused, Err(ChangeError::HasActiveOrders)), "{refused:?}");
        test.claim(worker, &[order.id]).await;
    }
    test.cancel(cancel(order.id)).await;
    test.store.heroes().remove(hero_id, Some(Version(1))).await.expect("no order is active");
    test.store.meals().remove(meal_id, None).await.expect("no order is active");
}

on_both!(what_was_removed_is_gone_but_readable_in_orders);
async fn what_was_removed_is_gone_but_readable_in_orders(test: TestStore) {
    let (hero_id, meal_id, worker) = test.guest_and_worker().await;
    let order = test.completed(worker, hero_id, meal_id).await;
    test.store.heroes().remove(hero_id, None).await.expect("no order is active");
    test.store.meals().remove(meal_id, None).await.expect("no order is active");
    assert_eq!(test.store.heroes().get(hero_id).await.expect("an answer"), None);
    let meals = test.store.meals().list(&page(50, None, None)).await.expect("a page");
    assert!(meals.items.is_empty());
    let view = test.store.order(order.id).await.expect("an answer").expect("the order").view;
    assert_eq!(
        (view.hero.name.as_str(), view.meal.name.as_str(), view.order),
        ("Zoé", "Soup", order)
    );
    let again = test.store.heroes().remove(hero_id, None).await;
    assert!(matches!(again, Err(ChangeError::NotFound)), "{again:?}");
    let unknown = MealId::new(meal_id.get() + 1).expect("an id");
    let refused = test.store.meals().remove(unknown, None).await;
    assert!(matches!(refused, Err(ChangeError::NotFound)), "{refused:?}");
}
