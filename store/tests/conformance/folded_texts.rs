//! Comparison of texts after folding, and refolding of stale rows.

use galley_protocol::{Hero, Meal, Reason, Status};
use galley_store::ListPage;

use crate::fresh_database::FreshDatabase;
use crate::test_store::{LONG, TestStore, entries};

/// The folding of an older rule, reduced to what the tests need.
const OLD: &str = "as an older program folded it";

async fn judge(test: &TestStore, hero: &Hero, meal: &Meal) -> (Status, Option<Reason>, String) {
    let worker = test.worker().await;
    let order = test.place(hero.id, meal.id).await;
    let claimed = test
        .store
        .claim(worker, entries(&[order.id], LONG..=LONG))
        .await
        .expect("claims")
        .remove(0)
        .order;
    (claimed.status, claimed.reason, claimed.message.unwrap_or_default())
}

async fn is_refused(test: &TestStore, hero: &Hero, meal: &Meal) -> bool {
    let (status, reason, _) = judge(test, hero, meal).await;
    (status, reason) == (Status::Cancelled, Some(Reason::Allergy))
}

async fn found(test: &TestStore, part: &str) -> Vec<String> {
    let page = ListPage { limit: 1_000, after: None, name_contains: Some(part.to_owned()) };
    let heroes = test
        .store
        .heroes()
        .list(&page)
        .await
        .expect("heroes")
        .items
        .into_iter()
        .map(|hero| String::from(hero.name));
    let meals = test
        .store
        .meals()
        .list(&page)
        .await
        .expect("meals")
        .items
        .into_iter()
        .map(|meal| String::from(meal.name));
    heroes.chain(meals).collect()
}

/// Replaces the stored foldings by those of an older program.
async fn age(database: &FreshDatabase, change: &str) {
    let list = if database.is_sqlite() {
        format!("json_array('{OLD}')")
    } else {
        format!("array['{OLD}']")
    };
    for (table, entries) in [("heroes", "allergies_folded"), ("meals", "ingredients_folded")] {
        let statement =
            format!("update {table} set name_folded = '{OLD}', {entries} = {list}, {change}");
        database.sql(&statement).await.expect("old foldings");
    }
}

on_both!(case_and_what_nobody_sees_hide_no_allergy);
async fn case_and_what_nobody_sees_hide_no_allergy(test: TestStore) {
    for (allergy, ingredient) in [
        ("ΦΑΚΈΣ", "φακές"),
        ("ERDNUSS", "Erdnuß"),
        ("pea\u{200b}nut", "peanut"),
        ("pea\u{feff}nut", "pea\u{ad}nut"),
        ("pea\u{3164}nut", "PEA\u{fe0f}NUT"),
        ("Crème  fraîche", "creme\u{2800}fraiche"),
    ] {
        let (hero, meal) =
            (test.hero("Zoé", &[allergy]).await, test.meal("Soup", &[ingredient]).await);
        assert!(is_refused(&test, &hero, &meal).await, "{allergy:?} {ingredient:?}");
    }
    let (hero, meal) = (
        test.hero("Zoé", &["peanut"]).await,
        test.meal("Soup", &["peanuts", "peanut butter"]).await,
    );
    assert!(!is_refused(&test, &hero, &meal).await);
}

on_both!(every_conflicting_ingredient_is_named);
async fn every_conflicting_ingredient_is_named(test: TestStore) {
    let hero = test.hero("Zoé", &["erdnuss", "MILK"]).await;
    let meal = test.meal("Soup", &["Erdnuß", "water", "mi\u{ad}lk", "ERDNUSS"]).await;
    let (_, _, message) = judge(&test, &hero, &meal).await;
    assert!(
        message.contains("Erdnuß, mi\u{ad}lk, ERDNUSS") && !message.contains("water"),
        "{message}"
    );
}

on_both!(a_search_finds_names_whatever_they_hide);
async fn a_search_finds_names_whatever_they_hide(test: TestStore) {
    for (name, part) in [
        ("Zo\u{200b}é", "zoe"),
        ("ΦΑΚΈΣ", "φακε\u{202e}ς"),
        ("👨\u{200d}👩\u{200d}👧", "👩"),
        ("می\u{200c}گو", "می\u{feff}گو"),
        ("Erdnuß", "NUSS"),
    ] {
        test.hero(name, &[]).await;
        test.meal(name, &[]).await;
        assert_eq!(found(&test, part).await, [name, name], "{part:?}");
    }
}

on_both!(what_is_stored_is_folded_again_by_a_migration);
async fn what_is_stored_is_folded_again_by_a_migration(test: TestStore) {
    for number in 0..250 {
        test.hero(&format!("Zoé {number}"), &["Erdnuß"]).await;
    }
    let (hero, meal) =
        (test.hero("Zoé", &["ERDNUSS"]).await, test.meal("Süßes", &["Erdnuß"]).await);
    age(&test.database, "folded_rule = 0, folded_version = 0").await;
    assert_eq!(found(&test, "zoe").await.len(), 0);
    test.store.migrate().await.expect("stale rows can be refolded");
    assert_eq!(found(&test, "zoe").await.len(), 251);
    assert_eq!(found(&test, "SUSSES").await, ["Süßes"]);
    assert!(is_refused(&test, &hero, &meal).await);
    assert_eq!(
        test.store.heroes().get(hero.id).await.expect("an answer"),
        Some(hero),
        "nothing else changes"
    );
}

on_both!(a_migration_that_was_cut_off_goes_on_where_it_stopped);
async fn a_migration_that_was_cut_off_goes_on_where_it_stopped(test: TestStore) {
    let (hero, meal) = (test.hero("Zoé", &["ERDNUSS"]).await, test.meal("Soup", &["Erdnuß"]).await);
    age(&test.database, "folded_rule = 0, folded_version = 0").await;
    test.database
        .sql("update meals set folded_rule = 1, folded_version = version")
        .await
        .expect("some rows are up to date");
    test.store.migrate().await.expect("the remaining rows can be refolded");
    assert_eq!(found(&test, "zoe").await, ["Zoé"]);
    assert_eq!(found(&test, "soup").await.len(), 0, "rows that are up to date are not refolded");
    let stale =
        "update heroes set planet = planet where folded_version <> version or folded_rule = 0";
    assert_eq!(test.database.sql(stale).await, Ok(0));
    test.database.sql("update meals set folded_rule = 0").await.expect("all meals are stale");
    test.store.migrate().await.expect("the remaining rows can be refolded");
    assert!(is_refused(&test, &hero, &meal).await);
}

on_both!(what_an_older_program_wrote_is_folded_again);
async fn what_an_older_program_wrote_is_folded_again(test: TestStore) {
    let (hero, meal) = (test.hero("Zoé", &["ERDNUSS"]).await, test.meal("Soup", &["Erdnuß"]).await);
    age(&test.database, "version = version + 1").await;
    if test.database.is_sqlite() {
        // One process serves the file; it refolds when it starts.
        test.store.migrate().await.expect("stale rows can be refolded");
    } else {
        test.store.maintain().await.expect("maintenance succeeds");
    }
    assert!(is_refused(&test, &hero, &meal).await);
}

on_both!(a_text_from_before_a_rule_can_be_read);
async fn a_text_from_before_a_rule_can_be_read(test: TestStore) {
    let (hero, meal) = (test.hero("Zoé", &["nut"]).await, test.meal("Soup", &["nut"]).await);
    let order = test.place(hero.id, meal.id).await;
    for name in ["a\u{202e}b", "\u{200b}", "a\u{e0061}b"] {
        for table in ["heroes", "meals"] {
            test.database
                .sql(&format!("update {table} set name = '{name}'"))
                .await
                .expect("an old name");
        }
        let old =
            test.store.heroes().get(hero.id).await.expect("the row can be read").expect("a hero");
        assert_eq!(old.name.as_str(), name);
        assert!(test.store.meals().get(meal.id).await.expect("the row can be read").is_some());
        assert!(test.store.order(order.id).await.expect("the row can be read").is_some());
    }
}
