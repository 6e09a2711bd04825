//! The service describes itself: health, metrics, documents and problems.

use galley_protocol::ProblemType;
use galley_tests::json::{list, text};
use galley_tests::{StackBuilder, TestClient};
use reqwest::Method;
use serde_json::Value;

on_both_deployments!(health_readiness_and_metrics_are_told);
async fn health_readiness_and_metrics_are_told(stack: StackBuilder) {
    let stack = stack.delay("0s").start().await;
    let client = stack.client();
    assert_eq!(text(&client.get("/healthz").await.is(200), "status"), "alive");
    let ready = client.get("/readyz").await;
    assert!(ready.text.lines().count() >= 3, "a line for each dependency: {}", ready.text);
    let ready = ready.is(200);
    assert_eq!(text(&ready, "status"), "ready");
    for name in ["database", "bus"] {
        assert!(
            list(&ready, "dependencies").iter().any(|one| one["name"] == name && one["ok"] == true),
            "{ready}"
        );
    }
    let (hero, meal) = client.create_hero_and_meal().await;
    client.place_until(hero, meal, "COMPLETED").await;
    let metrics = client.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for line in metrics.text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, number) = line.rsplit_once(' ').expect("a name and a number");
        let is_ours = ["galley_", "process_"].iter().any(|begin| name.starts_with(begin));
        assert!(is_ours, "{line}");
        number.parse::<f64>().expect("a number");
    }
    assert!(metrics.text.contains(r#"route="/orders""#), "{}", metrics.text);
    let answer = client.get("/healthz").header("X-Request-Id", "mine-7").await;
    assert_eq!(
        (answer.header("x-request-id"), answer.header("x-content-type-options")),
        ("mine-7", "nosniff")
    );
}

on_both_deployments!(every_documented_path_answers);
async fn every_documented_path_answers(stack: StackBuilder) {
    let stack = stack.delay("0s").start().await;
    let client = stack.client();
    let document = client.get("/openapi.json").await.is(200);
    assert!(text(&document, "openapi").starts_with("3.1"), "{}", document["openapi"]);
    let paths = document["paths"].as_object().expect("paths");
    for path in [
        "/heroes",
        "/heroes/{id}",
        "/heroes/{id}/events",
        "/heroes/{id}/orders",
        "/events",
        "/meals",
        "/meals/{id}",
        "/orders",
        "/orders/{id}",
        "/orders/{id}/cancel",
        "/asyncapi.json",
        "/healthz",
        "/readyz",
        "/metrics",
        "/problems/{slug}",
    ] {
        assert!(paths.contains_key(path), "{path} is not documented");
    }
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            let (hero, meal) = client.create_hero_and_meal().await;
            let order = client.place_until(hero, meal, "COMPLETED").await;
            let id = if path.starts_with("/heroes") {
                hero
            } else if path.starts_with("/meals") {
                meal
            } else {
                order
            };
            let path = path.replace("{id}", &id.to_string()).replace("{slug}", "internal");
            if operation["responses"]["200"]["content"]["text/event-stream"].is_object() {
                client.listen(&path).await; // the body never ends
                continue;
            }
            let answer = ask(&client, &method.to_uppercase(), &path, operation).await;
            let responses = operation["responses"].as_object().expect("responses");
            assert!(
                responses.contains_key(&answer.0.to_string()),
                "{method} {path}: {} is not documented",
                answer.0
            );
            assert!(
                (200..300).contains(&answer.0) || answer.0 == 409,
                "{method} {path}: {answer:?}"
            );
        }
    }
    for reference in references(&document) {
        let pointer = reference.strip_prefix('#').expect("references stay within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

/// Sends the example of an operation.
async fn ask(client: &TestClient, method: &str, path: &str, operation: &Value) -> (u16, String) {
    let call = client.call(Method::from_bytes(method.as_bytes()).expect("a method"), path);
    let content =
        operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
    let call = match content {
        Some((media, content)) => {
            let example = if path == "/orders" {
                let (hero, meal) = client.create_hero_and_meal().await;
                serde_json::json!({"hero_id": hero, "meal_id": meal})
            } else {
                content["example"].clone()
            };
            call.header("Content-Type", media).body(example.to_string())
        }
        None => call,
    };
    let answer = call.await;
    (answer.status, answer.text)
}

fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(entries) => entries.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

on_both_deployments!(every_type_of_problem_is_explained);
async fn every_type_of_problem_is_explained(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    for kind in ProblemType::ALL {
        let path = format!("/problems/{}", kind.slug());
        let explained = client.get(&path).await.is(200);
        assert_eq!(
            (text(&explained, "type"), text(&explained, "title")),
            (path.as_str(), galley_protocol::Language::default().title(*kind))
        );
        assert_eq!(explained["status"], kind.status());
        assert!(text(&explained, "explanation").len() > 20);
    }
}

on_both_deployments!(the_live_updates_are_described_by_the_schemas_that_the_tests_use);
async fn the_live_updates_are_described_by_the_schemas_that_the_tests_use(stack: StackBuilder) {
    let document = stack.start().await.client().get("/asyncapi.json").await.is(200);
    assert_eq!(document, galley_protocol::asyncapi::document());
}

on_both_deployments!(the_pages_need_nobody_else);
async fn the_pages_need_nobody_else(stack: StackBuilder) {
    let stack = stack.start().await;
    let client = stack.client();
    assert_eq!(client.get("/docs").await.header("location"), "/docs/");
    for page in ["/", "/docs/", "/docs/live/"] {
        let html = client.get(page).await;
        assert_eq!(html.status, 200);
        assert!(html.header("content-type").starts_with("text/html"));
        let named = html.text.split(['"', '\'']).collect::<Vec<_>>();
        let linked: Vec<&str> = named
            .windows(2)
            .filter(|pair| pair[0].ends_with("src=") || pair[0].ends_with("href="))
            .map(|pair| pair[1])
            .filter(|link| !link.starts_with("data:") && !link.starts_with('#'))
            .collect();
        assert!(linked.len() >= 2, "{page}: {linked:?}");
        for link in linked {
            assert!(!link.contains("//"), "{page} needs {link}");
            let path = if link.starts_with('/') {
                link.to_owned()
            } else {
                format!("{page}{}", link.trim_start_matches("./"))
            };
            let file = client.get(&path).await;
            assert!(
                file.status == 200 || file.status == 308,
                "{page} needs {path}: {}",
                file.status
            );
        }
    }
    let settings = client.get("/docs/swagger-initializer.js").await;
    assert!(
        settings.text.contains("/openapi.json") && !settings.text.contains("http"),
        "{}",
        settings.text
    );
    let page = client.get("/").await;
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
    let known = client.get("/").header("If-None-Match", page.header("etag")).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
}
