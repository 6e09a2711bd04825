//! The permissions of every documented route and frame.

use galley_tests::json::{id, text};
use galley_tests::{StackBuilder, TestClient, TestStack, signed_token};
use reqwest::Method;
use serde_json::{Value, json};

/// The status for a hero that is not the owner, for the owner, and for staff. Without a token every
/// route that is not open answers 401.
const GUARDED: [(&str, &str, [u16; 3]); 25] = [
    ("get", "/events", [403, 403, 200]),
    ("get", "/heroes", [403, 403, 200]),
    ("post", "/heroes", [403, 403, 201]),
    ("get", "/heroes/{id}", [404, 200, 200]),
    ("put", "/heroes/{id}", [403, 403, 200]),
    ("patch", "/heroes/{id}", [403, 403, 200]),
    ("delete", "/heroes/{id}", [403, 403, 409]),
    ("get", "/heroes/{id}/events", [404, 200, 200]),
    ("get", "/heroes/{id}/orders", [404, 200, 200]),
    ("post", "/heroes/{id}/sign-out", [404, 204, 204]),
    ("get", "/me", [200, 200, 200]),
    ("get", "/meals", [200, 200, 200]),
    ("post", "/meals", [403, 403, 201]),
    ("get", "/meals/{id}", [200, 200, 200]),
    ("put", "/meals/{id}", [403, 403, 200]),
    ("patch", "/meals/{id}", [403, 403, 200]),
    ("delete", "/meals/{id}", [403, 403, 409]),
    ("get", "/metrics", [403, 403, 200]),
    ("get", "/operations", [403, 403, 200]),
    ("post", "/tickets", [201, 201, 201]),
    ("get", "/orders", [200, 200, 200]),
    ("post", "/orders", [404, 202, 202]),
    ("get", "/orders/{id}", [404, 200, 200]),
    ("delete", "/orders/{id}", [404, 200, 200]),
    ("post", "/orders/{id}/cancel", [404, 200, 200]),
];
/// The routes that need no token.
const OPEN: [&str; 12] = [
    "/healthz",
    "/readyz",
    "/sign-in",
    "/asyncapi.json",
    "/openapi.json",
    "/problems/unauthorized",
    "/docs/",
    "/docs/live/",
    "/docs/swagger-ui.css",
    "/",
    "/problems/forbidden",
    "/docs/index.css",
];

/// The status of each frame for another hero, for the owner of the order, and for staff.
const FRAMES: [(&str, [u16; 3]); 10] = [
    ("auth", [200, 200, 200]),
    ("cancel", [404, 200, 200]),
    ("delete", [404, 409, 409]),
    ("get", [404, 200, 200]),
    ("help", [200, 200, 200]),
    ("menu", [200, 200, 200]),
    ("orders", [200, 200, 200]),
    ("ping", [200, 200, 200]),
    ("place", [202, 202, 403]),
    ("watch", [403, 403, 200]),
];

/// A hero with an order of a meal, not shared with other tests.
struct OwnOrder {
    hero: i64,
    meal: i64,
    order: i64,
}

impl OwnOrder {
    async fn set(staff: &TestClient) -> Self {
        let (hero, meal) = staff.create_hero_and_meal().await;
        let order = staff.place_until(hero, meal, "IN_PROGRESS").await;
        Self { hero, meal, order }
    }

    /// Reads the current state of everything in the scene.
    async fn look(&self, staff: &TestClient) -> Vec<Value> {
        let mut seen = Vec::new();
        for path in [
            format!("/heroes/{}", self.hero),
            format!("/meals/{}", self.meal),
            format!("/heroes/{}/orders", self.hero),
        ] {
            seen.push(staff.get(&path).await.is(200));
        }
        seen
    }
}

async fn ask(
    client: &TestClient,
    scene: &OwnOrder,
    method: &str,
    path: &str,
    operation: &Value,
) -> galley_tests::TestAnswer {
    let thing = match path.split('/').nth(1) {
        Some("heroes") => scene.hero,
        Some("meals") => scene.meal,
        _ => scene.order,
    };
    let call = client.call(
        method.to_uppercase().parse::<Method>().expect("a method"),
        &path.replace("{id}", &thing.to_string()),
    );
    let content =
        operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
    let call = match content {
        Some((media, content)) => {
            let place = json!({"hero_id": scene.hero, "meal_id": scene.meal});
            let body = if path == "/orders" { &place } else { &content["example"] };
            call.header("Content-Type", media).body(body.to_string())
        }
        None => call,
    };
    if operation["responses"]["200"]["content"]["text/event-stream"].is_null() {
        return call.await;
    }
    match call.listen().await {
        Ok(events) => galley_tests::TestAnswer {
            question: path.to_owned(),
            status: 200,
            headers: events.headers,
            text: String::new(),
        },
        Err(answer) => answer,
    }
}

on_both_deployments!(every_route_lets_in_those_whom_it_should);
async fn every_route_lets_in_those_whom_it_should(stack: StackBuilder) {
    let stack = stack.with_tokens().delay("1h").start().await;
    let (staff, nobody) = (stack.staff(), stack.client());
    let stranger = stack.hero(staff.create_hero("Other", &[]).await);
    let document = nobody.get("/openapi.json").await.is(200);
    let mut described = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let guarded = GUARDED.iter().find(|(known, at, _)| known == method && at == path);
            assert_eq!(
                operation["security"].is_array(),
                guarded.is_some(),
                "{method} {path} is not in the table"
            );
            if guarded.is_none() {
                let path = path.replace("{slug}", "internal");
                assert_eq!(nobody.get(&path).await.status, 200, "{path}");
            }
            described.extend(guarded.map(|(method, path, _)| (*method, *path)));
        }
    }
    assert_eq!(described.len(), GUARDED.len());
    for path in OPEN {
        assert_eq!(nobody.get(path).await.status, 200, "{path}");
    }
    for (method, path, [by_stranger, by_owner, by_staff]) in GUARDED {
        let operation = &document["paths"][path][method];
        let scene = OwnOrder::set(&staff).await;
        let before = scene.look(&staff).await;
        let answer = ask(&nobody, &scene, method, path, operation).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"galley\"", "{method} {path}");
        answer.problem(401, "unauthorized");
        let answer = ask(&stranger, &scene, method, path, operation).await;
        assert_eq!(answer.status, by_stranger, "{method} {path} by a stranger: {}", answer.text);
        assert_eq!(
            scene.look(&staff).await,
            before,
            "{method} {path} by a stranger changed something"
        );
        let answer = ask(&stack.hero(scene.hero), &scene, method, path, operation).await;
        assert_eq!(answer.status, by_owner, "{method} {path} by the owner: {}", answer.text);
        let scene = OwnOrder::set(&staff).await;
        let answer = ask(&staff, &scene, method, path, operation).await;
        assert_eq!(answer.status, by_staff, "{method} {path} by staff: {}", answer.text);
    }
}

on_both_deployments!(every_frame_is_answered_for_those_whom_it_should);
async fn every_frame_is_answered_for_those_whom_it_should(stack: StackBuilder) {
    let stack = stack.with_tokens().delay("1h").start().await;
    let staff = stack.staff();
    let other = staff.create_hero("Other", &[]).await;
    let document = stack.client().get("/asyncapi.json").await.is(200);
    let commands = document["operations"]["command"]["messages"].as_array().expect("commands");
    let commands = commands.iter().filter_map(|message| text(message, "$ref").rsplit('/').next());
    // Words are other ways to write the same commands.
    let mut commands: Vec<&str> = commands.filter(|command| *command != "words").collect();
    commands.sort_unstable();
    assert_eq!(commands, FRAMES.map(|(frame, _)| frame), "the table has every command");
    for (kind, statuses) in FRAMES {
        let told = document["components"]["messages"][kind]["x-senders"].as_array();
        let told = told.expect("senders").iter().filter_map(Value::as_str).collect::<Vec<_>>();
        let may = [("hero", statuses[1]), ("staff", statuses[2])];
        let may: Vec<_> = may.into_iter().filter(|(_, status)| *status != 403).collect();
        assert_eq!(told, may.iter().map(|(sender, _)| *sender).collect::<Vec<_>>(), "{kind}");
        let scene = OwnOrder::set(&staff).await;
        let callers =
            [(other, stack.hero(other)), (scene.hero, stack.hero(scene.hero)), (0, stack.staff())];
        for ((hero, caller), status) in callers.into_iter().zip(statuses) {
            let token =
                if hero == 0 { signed_token::staff(60) } else { signed_token::hero(hero, 60) };
            let scene = if hero == 0 { OwnOrder::set(&staff).await } else { OwnOrder { ..scene } };
            let frame = json!({
                "type": kind, "id": 1, "order_id": scene.order, "meal_id": scene.meal, "token": token,
            });
            let mut socket = caller.connect_with("").await;
            socket.say(&only_needed(frame).to_string()).await;
            let answered = |answer: &Value| answer["id"] == json!(1);
            let answer = socket.until("an answer", answered).await;
            let said = match text(&answer, "type") {
                "error" => answer["problem"]["status"].as_u64().expect("a status"),
                _ if kind == "place" => 202,
                _ => 200,
            };
            assert_eq!(said, u64::from(status), "{kind} by {hero}: {answer}");
        }
    }
}

/// Leaves out the fields that this frame does not have.
fn only_needed(mut frame: Value) -> Value {
    let fields: &[&str] = match text(&frame, "type") {
        "place" => &["meal_id"],
        "get" | "delete" | "cancel" => &["order_id"],
        "auth" => &["token"],
        _ => &[],
    };
    let object = frame.as_object_mut().expect("a frame");
    object.retain(|name, _| {
        matches!(name.as_str(), "type" | "id") || fields.contains(&name.as_str())
    });
    frame
}

on_both_deployments!(heroes_see_themselves_and_the_menu);
async fn heroes_see_themselves_and_the_menu(stack: StackBuilder) {
    let stack = stack.with_tokens().delay("1h").start().await;
    let staff = stack.staff();
    let (first, second) = (OwnOrder::set(&staff).await, OwnOrder::set(&staff).await);
    let own = stack.hero(first.hero);
    let orders = own.all("/orders").await;
    assert_eq!(orders.iter().map(id).collect::<Vec<_>>(), [first.order]);
    assert_eq!(own.all(&format!("/orders?hero_id={}", first.hero)).await, orders);
    assert_eq!(staff.all("/orders").await.len(), 2);
    assert_eq!(own.all("/meals").await.len(), 2);

    let mut socket = own.connect_with("").await;
    assert_eq!(socket.welcome["hero"]["id"], first.hero);
    assert_eq!(own.connect(first.hero).await.welcome["hero"]["id"], first.hero);
    assert_eq!(socket.problem(json!({"type": "watch"})).await["status"], 403);
    let mut watcher = staff.connect_with("").await;
    assert!(watcher.welcome["hero"].is_null());
    watcher.reply(json!({"type": "watch"})).await;
    let placed = socket.reply(json!({"type": "place", "meal_id": second.meal})).await;
    let told = |frame: &Value| {
        frame["orders"]
            .as_array()
            .is_some_and(|orders| orders.iter().any(|order| order["id"] == placed["order"]["id"]))
    };
    watcher.until("the order in the feed", told).await;
    let on_behalf = staff.connect(second.hero).await;
    assert_eq!(on_behalf.welcome["hero"]["id"], second.hero);
}

on_both_deployments!(keys_belong_to_a_hero);
async fn keys_belong_to_a_hero(stack: StackBuilder) {
    let stack = stack.with_tokens().delay("1h").start().await;
    let staff = stack.staff();
    let (first, second) = (OwnOrder::set(&staff).await, OwnOrder::set(&staff).await);
    let place = async |scene: &OwnOrder, client: TestClient| {
        let body = json!({"hero_id": scene.hero, "meal_id": scene.meal});
        id(&client.post("/orders", &body).header("Idempotency-Key", "lunch").await.is(202))
    };
    let order = place(&first, stack.hero(first.hero)).await;
    assert_ne!(place(&second, stack.hero(second.hero)).await, order, "another hero's key");
    assert_eq!(place(&first, stack.hero(first.hero)).await, order);
    let mut socket = stack.hero(first.hero).connect_with("").await;
    let replayed =
        socket.reply(json!({"type": "place", "meal_id": first.meal, "key": "lunch"})).await;
    assert_eq!(
        (id(&replayed["order"]), &replayed["replayed"]),
        (order, &json!(true)),
        "by REST and by socket"
    );
}

#[tokio::test]
async fn without_authentication_the_document_asks_for_no_token() {
    let stack = TestStack::embedded().start().await;
    let client = stack.client();
    let document = client.get("/openapi.json").await.is(200);
    assert!(
        document["components"]["securitySchemes"].is_null()
            && !document.to_string().contains("\"security\"")
    );
    let ignored = client.with_token("nonsense").get("/heroes").await;
    assert_eq!(ignored.status, 200, "nobody looks at a token");
    let mut socket = client.with_token("nonsense").connect_with("").await;
    assert_eq!(socket.problem(json!({"type": "auth", "token": "a.b.c"})).await["status"], 403);
}
