//! Requests with the same key place one order.

use futures_util::future::join_all;
use galley_tests::json::{id, text};
use galley_tests::{StackBuilder, TestClient};
use serde_json::{Value, json};

async fn place(client: &TestClient, hero: i64, meal: i64, key: &str) -> galley_tests::TestAnswer {
    client
        .post("/orders", &json!({"hero_id": hero, "meal_id": meal}))
        .header("Idempotency-Key", key)
        .await
}

on_both_deployments!(a_repeated_request_places_nothing_new);
async fn a_repeated_request_places_nothing_new(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let first = place(&client, hero, meal, "lunch").await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let order = id(&first.is(202));
    client.until_status(order, "COMPLETED").await;
    let again = place(&client, hero, meal, "lunch").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("location"), format!("/orders/{order}"));
    assert_eq!(id(&again.is(202)), order);
    let other = client.create_meal("Other", &[]).await;
    place(&client, hero, other, "lunch").await.problem(422, "idempotency-key-reused");
    assert_ne!(id(&place(&client, hero, meal, "Lunch").await.is(202)), order);
    let longest = "k".repeat(255);
    assert_eq!(place(&client, hero, meal, &longest).await.status, 202);
    for wrong in ["", &"k".repeat(256)] {
        let problem = place(&client, hero, meal, wrong).await.problem(400, "invalid-parameter");
        assert_eq!(text(&problem["errors"][0], "pointer"), "Idempotency-Key");
    }
    assert_eq!(client.all("/orders").await.len(), 3);
}

on_both_deployments!(many_requests_at_once_with_one_key_place_one_order);
async fn many_requests_at_once_with_one_key_place_one_order(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let answers = join_all((0..100).map(|_| place(&client, hero, meal, "once"))).await;
    let replayed =
        answers.iter().filter(|answer| answer.header("idempotent-replayed") == "true").count();
    let orders: Vec<i64> = answers.into_iter().map(|answer| id(&answer.is(202))).collect();
    assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
    assert_eq!(replayed, orders.len() - 1);
    assert_eq!(client.all("/orders").await.len(), 1);
}

on_both_deployments!(a_repeated_command_places_nothing_new);
async fn a_repeated_command_places_nothing_new(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let other = client.create_hero("Other", &[]).await;
    let mut sockets = [client.connect(hero).await, client.connect(hero).await];
    let command = json!({"type": "place", "meal_id": meal, "key": "lunch"});
    let [one, two] = &mut sockets;
    let (first, second) = tokio::join!(one.reply(command.clone()), two.reply(command.clone()));
    assert_eq!(id(&first["order"]), id(&second["order"]));
    let replayed = [&first, &second].map(|reply| reply["replayed"] == true);
    assert!(replayed[0] != replayed[1], "{first} {second}");
    assert_eq!(two.reply(command.clone()).await["replayed"], true);
    let menu = client.create_meal("Other", &[]).await;
    let problem = two.problem(json!({"type": "place", "meal_id": menu, "key": "lunch"})).await;
    assert_eq!(text(&problem, "type"), "/problems/idempotency-key-reused");
    // A key belongs to the hero that used it.
    let mut stranger = client.connect(other).await;
    let own = stranger.reply(command).await;
    assert_eq!((id(&own["order"]) == id(&first["order"]), &own["replayed"]), (false, &Value::Null));
    assert_eq!(client.all("/orders").await.len(), 2);
}

/// Sends the key `lunch` from each of these clients, over REST and over a socket of the hero;
/// expects one order.
async fn bring(clients: &[&TestClient], hero: i64, meals: [i64; 2]) {
    let [meal, other] = meals;
    let mut orders = Vec::new();
    for client in clients {
        orders.push(id(&place(client, hero, meal, "lunch").await.is(202)));
        place(client, hero, other, "lunch").await.problem(422, "idempotency-key-reused");
        let mut socket = client.connect(hero).await;
        let reply = socket.reply(json!({"type": "place", "meal_id": meal, "key": "lunch"})).await;
        assert_eq!(reply["replayed"], true, "{reply}");
        orders.push(id(&reply["order"]));
        let problem =
            socket.problem(json!({"type": "place", "meal_id": other, "key": "lunch"})).await;
        assert_eq!(text(&problem, "type"), "/problems/idempotency-key-reused");
    }
    assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
}

on_both_deployments!(one_key_of_a_hero_places_one_order_whoever_brings_it);
async fn one_key_of_a_hero_places_one_order_whoever_brings_it(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let other = client.create_meal("Other", &[]).await;
    let stranger = client.create_hero("Other", &[]).await;
    bring(&[&client], hero, [meal, other]).await;
    let own = place(&client, stranger, meal, "lunch").await;
    assert_eq!(
        (own.header("idempotent-replayed"), own.status),
        ("", 202),
        "a key belongs to one hero"
    );
    assert_eq!(client.all("/orders").await.len(), 2);
}

on_both_deployments!(with_tokens_one_key_of_a_hero_places_one_order_whoever_brings_it);
async fn with_tokens_one_key_of_a_hero_places_one_order_whoever_brings_it(stack: StackBuilder) {
    let (stack, staff, hero, meal) =
        stack.with_tokens().delay("1h").start_with_hero_and_meal().await;
    let other = staff.create_meal("Other", &[]).await;
    bring(&[&staff, &stack.hero(hero)], hero, [meal, other]).await;
    assert_eq!(staff.all("/orders").await.len(), 1);
}

on_both_deployments!(a_hero_and_a_meal_are_created_once_under_a_key);
async fn a_hero_and_a_meal_are_created_once_under_a_key(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    let hero = json!({"name": "Zoé", "planet": "Earth", "allergies": ["milk"]});
    let meal = json!({"name": "Soup", "price": 9.5, "origin_planet": "Mars"});
    for (path, body, patch) in
        [("/heroes", hero, json!({"planet": "Venus"})), ("/meals", meal, json!({"price": 8}))]
    {
        let create =
            async |body: &Value| client.post(path, body).header("Idempotency-Key", "mine").await;
        let first = create(&body).await;
        assert_eq!((first.header("idempotent-replayed"), first.header("etag")), ("", "\"1\""));
        let location = first.header("location").to_owned();
        let created = first.is(201);
        let again = create(&body).await;
        assert_eq!(
            (again.header("idempotent-replayed"), again.header("location")),
            ("true", location.as_str())
        );
        assert_eq!(again.is(201), created);
        let mut other = body.clone();
        other["name"] = json!("Other");
        create(&other).await.problem(422, "idempotency-key-reused");
        let changed = client.patch(&location, &patch).await.is(200);
        let last = create(&body).await;
        assert_eq!(last.header("etag"), "\"2\"");
        assert_eq!(last.is(201), changed, "as it is now");
        let problem = client
            .post(path, &body)
            .header("Idempotency-Key", "")
            .await
            .problem(400, "invalid-parameter");
        assert_eq!(text(&problem["errors"][0], "pointer"), "Idempotency-Key");
        assert_eq!(client.all(path).await.len(), 1);
    }
}

on_both_deployments!(many_creations_at_once_with_one_key_create_one_thing);
async fn many_creations_at_once_with_one_key_create_one_thing(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    let body = json!({"name": "Zoé", "planet": "Earth"});
    let create = || async { client.post("/heroes", &body).header("Idempotency-Key", "once").await };
    let answers = join_all((0..50).map(|_| create())).await;
    let replayed =
        answers.iter().filter(|answer| answer.header("idempotent-replayed") == "true").count();
    let heroes: Vec<i64> = answers.into_iter().map(|answer| id(&answer.is(201))).collect();
    assert!(heroes.iter().all(|hero| *hero == heroes[0]), "{heroes:?}");
    assert_eq!((replayed, client.all("/heroes").await.len()), (49, 1));
}
