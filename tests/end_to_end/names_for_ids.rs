//! Heroes and meals can be named on the command line.

use galley_tests::json::{id, list, text};
use galley_tests::{StackBuilder, TestStack};
use serde_json::Value;

on_both_deployments!(a_name_stands_for_its_id_wherever_one_is_taken);
async fn a_name_stands_for_its_id_wherever_one_is_taken(stack: StackBuilder) {
    let stack = stack.delay("1h").start().await;
    let client = stack.client();
    let nova = client.create_hero("Nova", &[]).await;
    let other = client.create_hero("Nova Prime", &[]).await;
    let soup = client.create_meal("Peanut soup", &[]).await;
    client.create_meal("Pea soup", &[]).await;
    for (typed, found) in [
        ("Nova", nova),
        ("NÓVA", nova),
        ("name:nova", nova),
        ("prime", other),
        (&*format!("id:{nova}"), nova),
    ] {
        assert_eq!(id(&client.galley_json(&["hero", "get", typed]).await), found, "{typed}");
    }
    let order =
        client.galley_json(&["order", "place", "--hero", "nova", "--meal", "peanut soup"]).await;
    assert_eq!((order["hero_id"].as_i64(), order["meal_id"].as_i64()), (Some(nova), Some(soup)));
    let listed = client.galley_json(&["order", "list", "--hero", "Nova", "--meal", "peanut"]).await;
    assert_eq!(list(&listed, "items").len(), 1);
    let listed = client.galley_json(&["order", "list", "--hero", "prime"]).await;
    assert_eq!(list(&listed, "items").len(), 0);
    let changed = client.galley_json(&["meal", "update", "peanut", "--price", "3"]).await;
    assert_eq!((id(&changed), text(&changed, "name")), (soup, "Peanut soup"));
    client.galley_json(&["hero", "delete", "nova prime"]).await;
    client.get(&format!("/heroes/{other}")).await.is(404);
}

#[tokio::test]
async fn a_name_that_fits_none_or_several_is_refused() {
    let stack = TestStack::embedded().start().await;
    let client = stack.client();
    let (pea, peanut) =
        (client.create_meal("Pea soup", &[]).await, client.create_meal("Peanut soup", &[]).await);
    let none = client.galley(&["meal", "get", "bisque"]).await;
    assert_eq!(
        (none.code, none.stderr.as_str()),
        (3, "error: there is no meal named \"bisque\"\n")
    );
    let several = client.galley(&["meal", "get", "soup"]).await;
    let listed = format!(
        "\"soup\" fits 2 meals: Pea soup ({pea}), Peanut soup ({peanut}); give the whole name or the id"
    );
    assert_eq!((several.code, several.stderr), (2, format!("error: {listed}\n")));
    let several = client.galley(&["meal", "get", "soup", "--json"]).await;
    let problem: Value = serde_json::from_str(&several.stderr).expect("a problem");
    let ids: Vec<i64> = list(&problem, "candidates").iter().map(id).collect();
    assert_eq!(ids, [pea, peanut]);
}

#[tokio::test]
async fn a_number_is_an_id_unless_it_is_called_a_name() {
    let stack = TestStack::embedded().start().await;
    let client = stack.client();
    let first = client.create_hero("Zoé", &[]).await;
    let numbered = client.create_hero(&first.to_string(), &[]).await;
    assert_eq!(id(&client.galley_json(&["hero", "get", &first.to_string()]).await), first);
    assert_eq!(id(&client.galley_json(&["hero", "get", &format!("name:{first}")]).await), numbered);
    assert_eq!(client.galley(&["hero", "get", "0"]).await.code, 2);
}

#[tokio::test]
async fn a_hero_with_a_token_may_use_its_own_name() {
    let (stack, staff, hero, _) =
        TestStack::embedded().with_tokens().start_with_hero_and_meal().await;
    let order =
        stack.hero(hero).galley_json(&["order", "place", "--hero", "zoe", "--meal", "soup"]).await;
    assert_eq!(order["hero_id"].as_i64(), Some(hero));
    let other = staff.create_hero("Nova", &[]).await;
    let said =
        stack.hero(other).galley(&["order", "place", "--hero", "zoe", "--meal", "soup"]).await;
    assert_eq!(said.code, 3, "{said:?}");
}
