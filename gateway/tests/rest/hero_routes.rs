use serde_json::json;

use crate::rest_stack::RestStack;

#[tokio::test]
async fn a_hero_is_created_read_replaced_patched_and_deleted() {
    let stack = RestStack::start().await;
    let created = stack
        .json(
            "POST",
            "/heroes",
            &json!({"name": " Zoé ", "planet": "Earth", "allergies": ["Nut", "nut"]}),
        )
        .await;
    assert_eq!((created.status, created.header("etag")), (201, "\"1\""));
    let (hero, path) = created.created("/heroes");
    assert_eq!(
        hero,
        json!({"id": hero["id"], "name": "Zoé", "planet": "Earth", "allergies": ["Nut"], "version": 1})
    );
    assert_eq!(stack.get(&path).await.body(), hero);

    let replaced = stack.json("PUT", &path, &json!({"name": "Zoé", "planet": "Mars"})).await;
    assert_eq!((replaced.status, replaced.header("etag")), (200, "\"2\""));
    assert_eq!(replaced.body()["allergies"], json!([]));
    let media = [("content-type", "application/merge-patch+json")];
    let patched = stack.send("PATCH", &path, &media, r#"{"allergies":["milk"]}"#).await;
    assert_eq!((patched.status, patched.header("etag")), (200, "\"3\""));
    assert_eq!(
        patched.body(),
        json!({"id": hero["id"], "name": "Zoé", "planet": "Mars", "allergies": ["milk"], "version": 3})
    );

    let deleted = stack.call("DELETE", &path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    for method in ["GET", "DELETE"] {
        stack.call(method, &path).await.problem(404, "hero-not-found");
    }
    stack.json("PATCH", &path, &json!({"name": "X"})).await.problem(404, "hero-not-found");
}

#[tokio::test]
async fn a_reader_who_has_the_version_gets_no_body() {
    let stack = RestStack::start().await;
    let path = format!("/heroes/{}", stack.hero("Zoé").await);
    for known in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let answer = stack.send("GET", &path, &[("if-none-match", known)], "").await;
        assert_eq!(
            (answer.status, answer.header("etag"), answer.text.as_str()),
            (304, "\"1\"", ""),
            "{known}"
        );
    }
    assert_eq!(stack.send("GET", &path, &[("if-none-match", "\"2\"")], "").await.status, 200);
    stack.send("GET", &path, &[("if-none-match", "1")], "").await.wrong(
        400,
        "invalid-parameter",
        "If-None-Match",
    );
}

#[tokio::test]
async fn a_change_happens_only_to_the_version_it_names() {
    let stack = RestStack::start().await;
    let path = format!("/heroes/{}", stack.hero("Zoé").await);
    let whole = json!({"name": "Zoé", "planet": "Mars"});
    for stale in ["\"2\"", "W/\"2\"", "\"01\"", "\"abc\""] {
        stack.json_if("PUT", &path, stale, &whole).await.problem(412, "version-mismatch");
        stack.json_if("PATCH", &path, stale, &json!({})).await.problem(412, "version-mismatch");
        stack
            .send("DELETE", &path, &[("if-match", stale)], "")
            .await
            .problem(412, "version-mismatch");
    }
    for (fresh, version) in
        [("W/\"1\"", "\"2\""), ("\"9\", \"2\", W/\"2\"", "\"3\""), ("*", "\"4\"")]
    {
        let answer = stack.json_if("PUT", &path, fresh, &whole).await;
        assert_eq!((answer.status, answer.header("etag")), (200, version), "{fresh}");
    }
    for garbage in ["4", "\"4", "\"4\" \"5\"", "*, \"4\""] {
        stack.json_if("PUT", &path, garbage, &whole).await.wrong(
            400,
            "invalid-parameter",
            "If-Match",
        );
    }
    assert_eq!(stack.send("DELETE", &path, &[("if-match", "\"4\"")], "").await.status, 204);
    stack
        .send("DELETE", &path, &[("if-match", "\"abc\"")], "")
        .await
        .problem(404, "hero-not-found");
}

#[tokio::test]
async fn a_hero_stays_until_its_orders_have_ended() {
    let stack = RestStack::start().await;
    let (hero, meal) = (stack.hero("Zoé").await, stack.meal("Soup").await);
    let order = stack.order(hero, meal).await;
    for path in [format!("/heroes/{hero}"), format!("/meals/{meal}")] {
        stack.call("DELETE", &path).await.problem(409, "has-active-orders");
    }
    assert_eq!(stack.call("POST", &format!("/orders/{order}/cancel")).await.status, 200);
    for path in [format!("/heroes/{hero}"), format!("/meals/{meal}")] {
        assert_eq!(stack.call("DELETE", &path).await.status, 204);
    }
    let ended = stack.get(&format!("/orders/{order}")).await.body();
    assert_eq!((&ended["hero"]["name"], &ended["meal"]["name"]), (&json!("Zoé"), &json!("Soup")));
    let body = json!({"hero_id": hero, "meal_id": meal});
    stack.json("POST", "/orders", &body).await.problem(404, "hero-not-found");
}
