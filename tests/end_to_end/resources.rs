//! Heroes and meals are created, read, changed and deleted.

use futures_util::future::join_all;
use galley_tests::StackBuilder;
use galley_tests::json::{id, list, text, version};
use serde_json::{Value, json};

on_both_deployments!(changes_at_the_same_moment_without_a_guard_are_all_made);
async fn changes_at_the_same_moment_without_a_guard_are_all_made(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let whole = json!({"name": "Stew", "price": 1, "origin_planet": "Venus"});
    for (path, patches) in [
        (
            format!("/heroes/{hero}"),
            [json!({"name": "Max"}), json!({"planet": "Venus"}), json!({"allergies": ["nut"]})],
        ),
        (
            format!("/meals/{meal}"),
            [json!({"name": "Stew"}), json!({"price": 0.99}), json!({"description": "hot"})],
        ),
    ] {
        let patch = |number: usize| client.patch(&path, &patches[number % patches.len()]);
        let answers = join_all((0..99).map(|number| async move { patch(number).await })).await;
        let mut versions: Vec<i64> =
            answers.into_iter().map(|answer| version(&answer.is(200))).collect();
        versions.sort_unstable();
        assert_eq!(versions, (2..=100).collect::<Vec<_>>());
        let merged = client.get(&path).await.is(200);
        for field in patches.iter().filter_map(Value::as_object).flatten() {
            assert_eq!(merged[field.0], *field.1, "{merged}");
        }
    }
    let path = format!("/meals/{meal}");
    let put = || async { client.put(&path, &whole).await };
    let answers = join_all((0..50).map(|_| put())).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

on_both_deployments!(a_hero_is_created_read_changed_and_deleted);
async fn a_hero_is_created_read_changed_and_deleted(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    let body = json!({"name": "  Zoé ", "planet": "Kepler-22b", "allergies": ["Nut", " nut", "NÜT", "milk"]});
    let created = client.post("/heroes", &body).await;
    let location = created.header("location").to_owned();
    assert_eq!(created.header("etag"), "\"1\"");
    let hero = created.is(201);
    assert_eq!(location, format!("/heroes/{}", id(&hero)));
    assert_eq!(
        hero,
        json!({"id": id(&hero), "name": "Zoé", "planet": "Kepler-22b", "allergies": ["Nut", "milk"], "version": 1})
    );
    assert_eq!(client.get(&location).await.is(200), hero);

    let patched = client.patch(&location, &json!({"planet": "Mars"})).await;
    assert_eq!(patched.header("etag"), "\"2\"");
    let patched = patched.is(200);
    assert_eq!(
        (text(&patched, "name"), text(&patched, "planet"), version(&patched)),
        ("Zoé", "Mars", 2)
    );
    let replaced = client.put(&location, &json!({"name": "Z", "planet": "Venus"})).await.is(200);
    assert_eq!(
        replaced,
        json!({"id": id(&hero), "name": "Z", "planet": "Venus", "allergies": [], "version": 3})
    );
    assert_eq!(client.delete(&location).await.status, 204);
    for answer in [
        client.get(&location).await,
        client.delete(&location).await,
        client.put(&location, &json!({"name": "Z", "planet": "Venus"})).await,
        client.patch(&location, &json!({})).await,
    ] {
        answer.problem(404, "hero-not-found");
    }
}

on_both_deployments!(a_meal_is_created_read_changed_and_deleted);
async fn a_meal_is_created_read_changed_and_deleted(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    let created = client
        .post("/meals", &json!({"name": "Soup", "price": 19.99, "origin_planet": "Earth"}))
        .await;
    let location = created.header("location").to_owned();
    let mut meal = created.is(201);
    let expected = json!({"id": id(&meal), "name": "Soup", "ingredients": [], "price": 19.99, "origin_planet": "Earth", "description": "", "version": 1});
    assert_eq!(meal, expected);
    for (number, price) in
        (2..).zip([json!(0), json!(0.01), json!(0.1), json!(1_000_000_000), json!(999_999_999.99)])
    {
        let body = json!({"price": price, "description": "hot\nand fast", "ingredients": ["salt", "Salt"]});
        meal = client.patch(&location, &body).await.is(200);
        assert_eq!((&meal["price"], version(&meal)), (&price, number), "a price is exact");
    }
    assert_eq!(
        (text(&meal, "description"), list(&meal, "ingredients").len()),
        ("hot\nand fast", 2)
    );
    meal =
        client.patch(&location, &json!({"description": null, "ingredients": null})).await.is(200);
    assert_eq!((text(&meal, "description"), list(&meal, "ingredients").len()), ("", 0));
    assert_eq!(client.get(&location).await.is(200), meal);
    assert_eq!(client.delete(&location).await.status, 204);
    client.get(&location).await.problem(404, "meal-not-found");
}

on_both_deployments!(lists_are_paged_and_searched);
async fn lists_are_paged_and_searched(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    for number in 0..25 {
        client.create_hero(&format!("Hero {number:02}"), &[]).await;
        client.create_meal(&format!("Crème  brûlée {number:02}"), &[]).await;
    }
    for (path, search) in [("/heroes", "hero+1"), ("/meals", "CREME+brulee+1")] {
        let all = client.get(path).await.is(200);
        assert_eq!((list(&all, "items").len(), &all["next_cursor"]), (25, &Value::Null));
        assert!(list(&all, "items").is_sorted_by_key(id));
        let mut seen = Vec::new();
        let mut next = format!("{path}?limit=10");
        let mut pages = 0;
        loop {
            let answer = client.get(&next).await;
            let link = answer.header("link").to_owned();
            let page = answer.is(200);
            seen.extend_from_slice(list(&page, "items"));
            pages += 1;
            match link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) {
                Some(link) => link.clone_into(&mut next),
                None => break,
            }
            assert!(next.contains(text(&page, "next_cursor")));
        }
        assert_eq!((pages, &json!(seen)), (3, &all["items"]));
        let found = client.get(&format!("{path}?q={search}")).await.is(200);
        assert_eq!(list(&found, "items").len(), 10, "{path}?q={search}: {found}");
        let page = client.get(&format!("{path}?q={search}&limit=4")).await.is(200);
        let cursor = text(&page, "next_cursor").to_owned();
        let rest = client.get(&format!("{path}?q={search}&cursor={cursor}")).await.is(200);
        assert_eq!((list(&page, "items").len(), list(&rest, "items").len()), (4, 6));
        for nothing in ["%25", "_", "zzz", "%27"] {
            assert!(
                list(&client.get(&format!("{path}?q={nothing}")).await.is(200), "items").is_empty(),
                "{nothing}"
            );
        }
    }
}

on_both_deployments!(a_change_is_guarded_by_the_version);
async fn a_change_is_guarded_by_the_version(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let whole_hero = json!({"name": "A", "planet": "B"});
    let whole_meal = json!({"name": "A", "origin_planet": "B", "price": 1});
    for (path, whole) in
        [(format!("/heroes/{hero}"), whole_hero), (format!("/meals/{meal}"), whole_meal)]
    {
        for known in ["\"1\"", "W/\"1\"", "*", "\"7\", \"1\""] {
            let answer = client.get(&path).header("If-None-Match", known).await;
            assert_eq!(
                (answer.status, answer.header("etag"), answer.text.as_str()),
                (304, "\"1\"", ""),
                "{known}"
            );
        }
        assert_eq!(client.get(&path).header("If-None-Match", "\"2\"").await.status, 200);
        assert_eq!(client.put(&path, &whole).header("If-Match", "\"1\"").await.status, 200);
        for answer in [
            client.put(&path, &whole).header("If-Match", "\"1\"").await,
            client.patch(&path, &json!({})).header("If-Match", "\"1\"").await,
            client.delete(&path).header("If-Match", "\"1\"").await,
        ] {
            answer.problem(412, "version-mismatch");
        }
        client.put(&path, &whole).header("If-Match", "1").await.problem(400, "invalid-parameter");
        assert_eq!(version(&client.get(&path).await.is(200)), 2);
        assert_eq!(client.delete(&path).header("If-Match", "\"2\"").await.status, 204);
    }
}
