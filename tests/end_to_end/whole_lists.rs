//! `--all` prints a list to its end.

use galley_tests::json::{id, list};
use galley_tests::{StackBuilder, TestStack};

on_both_deployments!(every_page_of_a_list_is_printed);
async fn every_page_of_a_list_is_printed(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let mut heroes = vec![hero];
    for number in 0..6 {
        heroes.push(client.create_hero(&format!("Hero {number}"), &[]).await);
        client.create_meal(&format!("Meal {number}"), &[]).await;
        client.place(hero, meal).await;
    }
    let ids = |page: &serde_json::Value| list(page, "items").iter().map(id).collect::<Vec<_>>();
    let all = client.galley_json(&["hero", "list", "--all", "--limit", "2"]).await;
    assert_eq!((ids(&all), &all["next_cursor"]), (heroes.clone(), &serde_json::Value::Null));
    let found = client.galley_json(&["hero", "list", "--all", "--limit", "2", "-q", "hero"]).await;
    assert_eq!(ids(&found), heroes[1..]);
    let page = client.galley_json(&["hero", "list", "--limit", "3"]).await;
    let cursor = page["next_cursor"].as_str().expect("more");
    let rest =
        client.galley_json(&["hero", "list", "--all", "--limit", "2", "--cursor", cursor]).await;
    assert_eq!(ids(&rest), heroes[3..]);
    assert_eq!(ids(&client.galley_json(&["meal", "list", "--all", "--limit", "1"]).await).len(), 7);
    assert_eq!(
        ids(&client.galley_json(&["order", "list", "--all", "--limit", "4"]).await).len(),
        6
    );
    let table = client.galley(&["hero", "list", "--all", "--limit", "2"]).await;
    assert_eq!(
        (table.stdout.lines().count(), table.stdout.matches("PLANET").count()),
        (8, 1),
        "{table:?}"
    );
    assert_eq!(table.stderr, "");
}

#[tokio::test]
async fn an_empty_list_is_an_empty_page() {
    let stack = TestStack::embedded().start().await;
    let client = stack.client();
    let all = client.galley(&["meal", "list", "--all", "--json"]).await;
    assert_eq!((all.code, all.stdout.as_str()), (0, "{\"items\":[],\"next_cursor\":null}\n"));
}

#[tokio::test]
async fn a_page_that_is_not_the_last_says_so() {
    let stack = TestStack::embedded().start().await;
    let client = stack.client();
    for number in 0..3 {
        client.create_hero(&format!("Hero {number}"), &[]).await;
    }
    let page = client.galley(&["hero", "list", "--limit", "2"]).await;
    assert!(
        page.stderr.starts_with("There is more: --cursor ") && page.stderr.contains("--all"),
        "{page:?}"
    );
}
