use serde_json::Value;

use crate::rest_stack::{RestAnswer, RestStack};

/// The target of `Link: <…>; rel="next"`.
fn next(answer: &RestAnswer) -> Option<String> {
    let link = answer.header("link").strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    Some(link.to_owned())
}

/// Follows the links from `path` to the end, and returns the ids of each page.
async fn pages(stack: &RestStack, path: &str) -> Vec<Vec<i64>> {
    let (mut pages, mut path) = (Vec::new(), Some(path.to_owned()));
    while let Some(page) = path {
        let answer = stack.get(&page).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        pages.push(answer.ids());
        path = next(&answer);
        let cursor = &answer.body()["next_cursor"];
        match &path {
            Some(path) => assert!(
                path.ends_with(&format!("cursor={}", cursor.as_str().expect("a cursor"))),
                "{path}"
            ),
            None => assert_eq!(cursor, &Value::Null),
        }
    }
    pages
}

#[tokio::test]
async fn links_lead_through_the_whole_menu_and_keep_the_filter() {
    let stack = RestStack::start().await;
    let mut soups = Vec::new();
    for name in ["Onion soup", "Stew", "Pea  SOUP", "Soupe à l'oignon", "Cake", "Soup of the day"]
    {
        let id = stack.meal(name).await;
        if name.to_lowercase().contains("soup") {
            soups.push(id);
        }
    }
    assert_eq!(pages(&stack, "/meals?q=so%55p&limit=2").await, [&soups[..2], &soups[2..]]);
    assert_eq!(pages(&stack, "/meals?q=soup&limit=3").await, [&soups[..3], &soups[3..]]);
    assert_eq!(pages(&stack, "/meals?q=soup").await, [&soups[..]]);
    assert_eq!(pages(&stack, "/meals?q=100%25").await, [&[] as &[i64]]);
    assert_eq!(stack.get("/meals?limit=6").await.ids().len(), 6);
    let first = stack.get("/meals?q=so%55p&limit=2").await;
    assert!(
        next(&first).expect("a link").starts_with("/meals?q=so%55p&limit=2&cursor="),
        "{first:?}"
    );
}

#[tokio::test]
async fn orders_come_newest_first_and_are_filtered() {
    let stack = RestStack::start().await;
    let (zoe, max) = (stack.hero("Zoé").await, stack.hero("Max").await);
    let (soup, stew) = (stack.meal("Soup").await, stack.meal("Stew").await);
    let mut orders = Vec::new();
    for (hero, meal) in [(zoe, soup), (max, soup), (zoe, stew), (zoe, soup)] {
        orders.push(stack.order(hero, meal).await);
    }
    assert_eq!(stack.call("POST", &format!("/orders/{}/cancel", orders[0])).await.status, 200);
    let [first, second, third, fourth] = orders[..] else { panic!("four orders") };
    for (path, found) in [
        ("/orders".to_owned(), vec![fourth, third, second, first]),
        (format!("/orders?hero_id={max}"), vec![second]),
        (format!("/orders?meal_id={stew}"), vec![third]),
        (format!("/orders?hero_id={zoe}&meal_id={soup}&status=PENDING"), vec![fourth]),
        ("/orders?status=CANCELLED&status=COMPLETED".to_owned(), vec![first]),
        ("/orders?status=IN_PROGRESS".to_owned(), vec![]),
        (format!("/heroes/{zoe}/orders?meal_id={soup}"), vec![fourth, first]),
        (format!("/heroes/{max}/orders"), vec![second]),
        ("/orders?hero_id=4096".to_owned(), vec![]),
    ] {
        assert_eq!(stack.get(&path).await.ids(), found, "{path}");
    }
    assert_eq!(
        pages(&stack, &format!("/heroes/{zoe}/orders?limit=2")).await,
        [vec![fourth, third], vec![first]]
    );
    assert_eq!(pages(&stack, "/orders?limit=1").await.len(), 4);
    stack.get("/heroes/4096/orders").await.problem(404, "hero-not-found");
}
