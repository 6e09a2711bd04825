//! The life cycle of an order, seen by clients.

use galley_tests::StackBuilder;
use galley_tests::json::{id, list, text, version};
use serde_json::{Value, json};

on_both_deployments!(an_order_is_seen_at_each_step_on_every_socket_of_its_hero);
async fn an_order_is_seen_at_each_step_on_every_socket_of_its_hero(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("50ms").start_with_hero_and_meal().await;
    let other = client.create_hero("Other", &[]).await;
    let mut sockets = [client.connect(hero).await, client.connect(hero).await];
    let mut stranger = client.connect(other).await;

    let answer = client.post("/orders", &json!({"hero_id": hero, "meal_id": meal})).await;
    let location = answer.header("location").to_owned();
    let placed = answer.is(202);
    let order = id(&placed);
    assert_eq!(location, format!("/orders/{order}"));
    assert_eq!((text(&placed, "status"), version(&placed)), ("PENDING", 1));
    for field in ["message", "reason", "started_time", "completed_time"] {
        assert_eq!(placed[field], Value::Null, "{placed}");
    }

    for socket in &mut sockets {
        for seen in socket.follow(&["PENDING", "IN_PROGRESS", "COMPLETED"]).await {
            assert_eq!(id(&seen["order"]), order);
            assert!(!text(&seen, "cursor").is_empty());
        }
    }

    let own = id(&client.place(other, meal).await);
    stranger.until_status(own, "COMPLETED").await;
    assert!(
        stranger.order_frames_so_far().await.iter().all(|seen| id(seen) == own),
        "a hero sees its own orders only"
    );

    let ended = client.order(order).await;
    assert_eq!((text(&ended, "status"), version(&ended)), ("COMPLETED", 3));
    let times = ["order_time", "started_time", "completed_time"].map(|field| text(&ended, field));
    assert!(times.is_sorted(), "{times:?}");
    assert!(
        times
            .iter()
            .all(|time| time.len() == "2026-01-01T00:00:00.000Z".len() && time.ends_with('Z')),
        "{times:?}"
    );
}

on_both_deployments!(an_order_shows_its_hero_and_its_meal);
async fn an_order_shows_its_hero_and_its_meal(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let order = id(&client.place(hero, meal).await);
    let ended = client.until_status(order, "COMPLETED").await;
    assert_eq!(ended["hero"], json!({"id": hero, "name": "Zoé"}));
    assert_eq!(ended["meal"], json!({"id": meal, "name": "Soup", "price": 9.5}));

    assert_eq!(client.delete(&format!("/heroes/{hero}")).await.status, 204);
    assert_eq!(client.delete(&format!("/meals/{meal}")).await.status, 204);
    assert_eq!(
        client.order(order).await,
        ended,
        "an ended order stays readable without its hero and its meal"
    );
}

on_both_deployments!(an_order_for_nobody_or_of_nothing_is_refused);
async fn an_order_for_nobody_or_of_nothing_is_refused(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    let place = async |hero_id: i64, meal_id: i64| {
        client.post("/orders", &json!({"hero_id": hero_id, "meal_id": meal_id})).await
    };
    let problem = place(hero + 1, meal).await.problem(404, "hero-not-found");
    assert!(text(&problem, "detail").contains(&format!("hero {}", hero + 1)), "{problem}");
    let problem = place(hero, meal + 1).await.problem(404, "meal-not-found");
    assert!(text(&problem, "detail").contains(&format!("meal {}", meal + 1)), "{problem}");
    let mut socket = client.connect(hero).await;
    assert_eq!(
        socket.problem(json!({"type": "place", "meal_id": meal + 1})).await["type"],
        "/problems/meal-not-found"
    );
    assert_eq!(client.all("/orders").await, [] as [Value; 0]);
    client.get("/orders/1").await.problem(404, "order-not-found");
}

on_both_deployments!(orders_are_listed_newest_first_and_by_filter);
async fn orders_are_listed_newest_first_and_by_filter(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let (other_hero, other_meal) = client.create_hero_and_meal().await;
    let mut orders = Vec::new();
    for (hero, meal) in [(hero, meal), (hero, other_meal), (other_hero, meal)] {
        orders.push(id(&client.place(hero, meal).await));
    }
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    let listed = async |path: String| client.all(&path).await.iter().map(id).collect::<Vec<_>>();
    let [first, second, third] = orders[..] else { unreachable!("three were placed") };
    for (path, expected) in [
        ("/orders".to_owned(), vec![third, second, first]),
        (format!("/orders?hero_id={hero}"), vec![second, first]),
        (format!("/heroes/{hero}/orders"), vec![second, first]),
        (format!("/orders?meal_id={meal}"), vec![third, first]),
        (format!("/heroes/{hero}/orders?meal_id={meal}"), vec![first]),
        ("/orders?status=COMPLETED&status=CANCELLED".to_owned(), vec![third, second, first]),
        ("/orders?status=CANCELLED".to_owned(), vec![]),
    ] {
        assert_eq!(listed(path.clone()).await, expected, "{path}");
    }
    let page = client.get("/orders?limit=2&status=COMPLETED").await;
    let link = page.header("link").to_owned();
    let next = link
        .strip_prefix('<')
        .and_then(|link| link.strip_suffix(">; rel=\"next\""))
        .expect("a link to the next page");
    assert_eq!(
        list(&client.get(next).await.is(200), "items").iter().map(id).collect::<Vec<_>>(),
        [first]
    );
    client.get(&format!("/heroes/{}/orders", other_hero + 1)).await.problem(404, "hero-not-found");
}
