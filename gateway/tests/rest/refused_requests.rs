use crate::rest_stack::RestStack;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_path_or_a_method_that_is_not_there_is_a_problem() {
    let stack = RestStack::start().await;
    let paths = "/nothing /heroes/ /heroes/1/2/3 /problems/nothing /problems/%ff /docs/nothing.js";
    for path in paths.split(' ').chain(["/docs/%ff"]) {
        stack.get(path).await.problem(404, "not-found");
    }
    for (method, path, allowed) in [
        ("DELETE", "/heroes", "POST,GET,HEAD,OPTIONS"),
        ("POST", "/meals/1", "GET,HEAD,PUT,PATCH,DELETE,OPTIONS"),
        ("GET", "/orders/1/cancel", "POST,OPTIONS"),
        ("BREW", "/orders", "POST,GET,HEAD,OPTIONS"),
        ("POST", "/healthz", "GET,HEAD,OPTIONS"),
    ] {
        let answer = stack.call(method, path).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn a_malformed_id_is_named() {
    let stack = RestStack::start().await;
    let paths = "/heroes/x /meals/0 /orders/-1 /orders/01 /heroes/9007199254740992/orders";
    for path in paths.split(' ').chain(["/meals/%ff", "/orders/1%20"]) {
        stack.get(path).await.wrong(400, "invalid-parameter", "/{id}");
    }
}

#[tokio::test]
async fn a_malformed_unknown_or_repeated_parameter_is_named() {
    let stack = RestStack::start().await;
    for (method, path, pointer) in [
        ("GET", "/heroes?limit=0", "?limit"),
        ("GET", "/heroes?limit=101", "?limit"),
        ("GET", "/heroes?limit=+1", "?limit"),
        ("GET", "/heroes?limit=", "?limit"),
        ("GET", "/meals?limit=1&limit=1", "?limit"),
        ("GET", "/meals?cursor=x", "?cursor"),
        ("GET", "/meals?q=", "?q"),
        ("GET", "/meals?q=%ff", "?q"),
        ("GET", "/meals?q=%0a", "?q"),
        ("GET", "/meals?q=%zz", "?q"),
        ("GET", "/meals?Q=soup", "?Q"),
        ("GET", "/orders?status=pending", "?status"),
        ("GET", "/orders?hero_id=0", "?hero_id"),
        ("GET", "/orders?q=soup", "?q"),
        ("GET", "/heroes/1/orders?hero_id=1", "?hero_id"),
        ("GET", "/heroes/1?fields=name", "?fields"),
        ("POST", "/orders?hero_id=1", "?hero_id"),
        ("DELETE", "/orders/1?raeson=x", "?raeson"),
        ("DELETE", "/orders/1?reason=", "?reason"),
    ] {
        stack.call(method, path).await.wrong(400, "invalid-parameter", pointer);
    }
    let long = format!("/meals?q={}", "x".repeat(201));
    stack.get(&long).await.wrong(400, "invalid-parameter", "?q");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let stack = RestStack::start().await;
    for body in ["", "{", "{}x", "{'name':1}", "\u{feff}{}", "1e999", &"[".repeat(10_000)] {
        stack
            .send("POST", "/heroes", &[JSON], body.to_owned())
            .await
            .problem(400, "malformed-json");
    }
    stack
        .send("POST", "/heroes", &[JSON], &b"{\"name\":\"\xff\"}"[..])
        .await
        .problem(400, "malformed-json");
    for body in ["null", "[]", "7", "\"x\""] {
        stack.send("POST", "/heroes", &[JSON], body).await.wrong(422, "validation-failed", "#");
    }
    stack.send("POST", "/orders", &[JSON], r#"{"hero_id":1.5,"meal_id":1}"#).await.wrong(
        422,
        "validation-failed",
        "#/hero_id",
    );
    stack.send("POST", "/orders/1/cancel", &[JSON], r#"{"why":"x"}"#).await.wrong(
        422,
        "validation-failed",
        "#/why",
    );
}

#[tokio::test]
async fn a_body_of_another_media_type_is_refused() {
    let stack = RestStack::start().await;
    let body = r#"{"name":"A","planet":"B"}"#;
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/json; charset=latin1")],
        &[("content-type", "application/merge-patch+json")],
        &[JSON, ("content-encoding", "gzip")],
        &[JSON, JSON],
    ] {
        stack.send("POST", "/heroes", headers, body).await.problem(415, "unsupported-media-type");
    }
    let charset = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(stack.send("POST", "/heroes", &charset, body).await.status, 201);
    stack.send("POST", "/orders/1/cancel", &[], "{}").await.problem(415, "unsupported-media-type");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let stack = RestStack::start().await;
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024));
    for path in ["/heroes", "/meals", "/orders", "/orders/1/cancel"] {
        stack.send("POST", path, &[JSON], large.clone()).await.problem(413, "body-too-large");
    }
    let fits = format!("{}{{}}", " ".repeat(64 * 1024 - 2));
    stack.send("POST", "/heroes", &[JSON], fits).await.problem(422, "validation-failed");
}
