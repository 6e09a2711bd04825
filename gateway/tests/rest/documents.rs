use galley_protocol::{Language, ProblemType};
use serde_json::Value;

use crate::rest_stack::RestStack;

#[tokio::test]
async fn the_document_describes_every_route_with_its_problems() {
    let stack = RestStack::start().await;
    let answer = stack.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let document = answer.body();
    assert!(
        document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")),
        "{}",
        document["openapi"]
    );
    let described: Vec<String> = document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .map(|(path, item)| {
            let mut methods: Vec<&str> =
                item.as_object().expect("an item").keys().map(String::as_str).collect();
            methods.sort_unstable();
            format!("{path} {}", methods.join(" "))
        })
        .collect();
    assert_eq!(
        described,
        [
            "/asyncapi.json get",
            "/events get",
            "/healthz get",
            "/heroes get post",
            "/heroes/{id} delete get patch put",
            "/heroes/{id}/events get",
            "/heroes/{id}/orders get",
            "/heroes/{id}/sign-out post",
            "/me get",
            "/meals get post",
            "/meals/{id} delete get patch put",
            "/metrics get",
            "/operations get",
            "/orders get post",
            "/orders/{id} delete get",
            "/orders/{id}/cancel post",
            "/problems/{slug} get",
            "/readyz get",
            "/sign-in get",
            "/tickets post",
        ]
    );
    let operations = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|item| item.as_object().expect("an item").values());
    let mut names: Vec<&str> =
        operations.map(|operation| operation["operationId"].as_str().expect("a name")).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "each operation has its own name: {names:?}");
    let place = &document["paths"]["/orders"]["post"];
    assert_eq!(place["parameters"][0]["name"], "Idempotency-Key");
    for (status, slug) in
        [("404", "meal-not-found"), ("422", "idempotency-key-reused"), ("503", "overloaded")]
    {
        let content = &place["responses"][status]["content"]["application/problem+json"];
        assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem", "{status}");
        assert_eq!(
            content["examples"][slug]["value"]["type"],
            format!("/problems/{slug}"),
            "{status}"
        );
    }
}

#[tokio::test]
async fn every_reference_within_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = RestStack::start().await.get("/openapi.json").await.body();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_live_updates_are_described() {
    let stack = RestStack::start().await;
    let answer = stack.get("/asyncapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert_eq!(answer.body(), galley_protocol::asyncapi::document());
}

#[tokio::test]
async fn the_page_to_try_it_loads_nothing_from_elsewhere() {
    let stack = RestStack::start().await;
    let answer = stack.get("/docs").await;
    assert_eq!((answer.status, answer.header("location")), (308, "/docs/"));
    let page = stack.get("/docs/").await;
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    assert!(!page.text.contains("://"), "{}", page.text);
    for piece in page.text.split(['"', '\'']).filter(|piece| piece.starts_with("./")) {
        let file = stack.get(&format!("/docs/{}", &piece[2..])).await;
        assert_eq!(file.status, 200, "{piece}");
    }
    let settings = stack.get("/docs/swagger-initializer.js").await.text;
    assert!(
        settings.contains("/openapi.json") && settings.contains("\"validatorUrl\": \"none\""),
        "{settings}"
    );
}

#[tokio::test]
async fn the_page_about_the_live_updates_shows_the_whole_document_and_needs_no_script() {
    let stack = RestStack::start().await;
    let answer = stack.get("/docs/live").await;
    assert_eq!((answer.status, answer.header("location")), (308, "/docs/live/"));
    let page = stack.get("/docs/live/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text.as_str();
    assert!(!text.contains("<script") && !text.contains("://"), "{text}");
    let document = galley_protocol::asyncapi::document();
    let names =
        |value: &Value| value.as_object().expect("names").keys().cloned().collect::<Vec<_>>();
    let parts = [
        ("channel", names(&document["channels"])),
        ("message", names(&document["components"]["messages"])),
        ("schema", names(&document["components"]["schemas"])),
    ];
    for (kind, names) in parts {
        for name in names {
            assert!(text.contains(&format!("id=\"{kind}-{name}\"")), "{kind} {name}");
        }
    }
    for close in document["channels"]["socket"]["x-close-codes"].as_array().expect("codes") {
        assert!(text.contains(&format!("<th scope=\"row\">{}</th>", close["code"])), "{close}");
    }
    let anchors: Vec<&str> =
        text.split("href=\"#").skip(1).filter_map(|it| it.split('"').next()).collect();
    assert!(anchors.len() > 50, "{anchors:?}");
    for anchor in anchors {
        assert!(text.contains(&format!("id=\"{anchor}\"")), "{anchor} leads nowhere");
    }
    assert!(stack.get("/docs/").await.status == 200 && text.contains("href=\"../\""));
    let description = stack.get("/openapi.json").await.body()["info"]["description"].to_string();
    assert!(description.contains("(live/)"), "{description}");
}

#[tokio::test]
async fn every_type_of_problem_is_explained() {
    let stack = RestStack::start().await;
    let english = Language::default();
    for kind in ProblemType::ALL {
        let meaning = stack.get(&format!("/problems/{}", kind.slug())).await.body();
        assert_eq!(meaning["explanation"], english.explanation(*kind));
        assert_eq!(
            (&meaning["title"], &meaning["status"]),
            (&english.title(*kind).into(), &kind.status().into())
        );
    }
}
