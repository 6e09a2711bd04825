use crate::rest_stack::RestStack;

#[tokio::test]
async fn a_gateway_that_works_is_alive_and_ready() {
    let stack = RestStack::start().await;
    assert_eq!(stack.get("/healthz").await.body(), serde_json::json!({"status": "alive"}));
    let ready = stack.get("/readyz").await;
    assert_eq!(
        (ready.status, ready.header("content-type")),
        (200, "application/json"),
        "{ready:?}"
    );
    let body = ready.body();
    assert_eq!(body["status"], "ready");
    for (index, name) in ["database", "bus"].into_iter().enumerate() {
        let dependency = &body["dependencies"][index];
        assert_eq!(
            (&dependency["name"], &dependency["ok"]),
            (&name.into(), &true.into()),
            "{body}"
        );
        assert!(
            ready.text.lines().any(|line| line.contains(name) && line.contains("\"ok\":true")),
            "{}",
            ready.text
        );
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let stack = RestStack::start().await;
    let id = stack.hero("Zoé").await;
    stack.get(&format!("/heroes/{id}")).await;
    stack.get("/somewhere/else").await;
    stack.call("BREW", "/heroes").await;
    let metrics = stack.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"), "{metrics:?}");
    for line in [
        "galley_http_requests_total{method=\"GET\",route=\"/heroes/{id}\",status=\"2xx\"}",
        "galley_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"4xx\"}",
        "galley_http_requests_total{method=\"other\",route=\"/heroes\",status=\"4xx\"}",
        "galley_http_request_seconds_bucket{method=\"POST\",route=\"/heroes\",status=\"2xx\",le=\"0.25\"}",
    ] {
        assert!(metrics.text.contains(line), "{line} is not in {}", metrics.text);
    }
    assert!(!metrics.text.contains("somewhere"), "{}", metrics.text);
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let stack = RestStack::start().await;
    for path in
        [format!("/heroes/{}", stack.hero("Zoé").await), "/meals".to_owned(), "/healthz".to_owned()]
    {
        let (head, get) = (stack.call("HEAD", &path).await, stack.get(&path).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""));
        assert_eq!(head.header("etag"), get.header("etag"));
        assert_eq!(head.header("content-length"), get.header("content-length"));
    }
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let stack = RestStack::start().await;
    let kept = stack.send("GET", "/healthz", &[("x-request-id", "Abc-1_2.3")], "").await;
    assert_eq!(kept.header("x-request-id"), "Abc-1_2.3");
    for refused in ["", "a b", "é", "<script>", &"x".repeat(65)] {
        let answer = stack.send("GET", "/nothing", &[("x-request-id", refused)], "").await;
        let id = answer.header("x-request-id");
        assert!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{refused}: {id}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}
