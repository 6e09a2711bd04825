//! A gateway under a path serves everything there, and every link that it gives leads there.

use std::net::Ipv4Addr;

use galley_tests::command_output::run;
use galley_tests::json::id;
use galley_tests::{RawConnection, StackBuilder, TestClient, TestStack};
use serde_json::json;

const BASE: &str = "/apps/galley";

on_both_deployments!(everything_is_under_the_base_path);
async fn everything_is_under_the_base_path(stack: StackBuilder) {
    let stack = stack.set("GALLEY_BASE_PATH", BASE).delay("0s").start().await;
    let (root, client) =
        (stack.client(), TestClient::new(&format!("{}{BASE}", stack.gateways[0].url)));
    let (hero, meal) = client.create_hero_and_meal().await;
    client.create_meal("Another", &[]).await;
    let placed = client.place_call(hero, meal).await;
    let location = placed.header("location").to_owned();
    let order = id(&placed.is(202));
    assert_eq!(location, format!("{BASE}/orders/{order}"));
    root.get(&location).await.is(200);
    let page = client.get("/meals?limit=1").await;
    let link = page.header("link").to_owned();
    assert!(link.starts_with(&format!("<{BASE}/meals?")), "{link}");
    root.get(link.trim_start_matches('<').split('>').next().expect("a path")).await.is(200);

    let mut socket = client.connect(hero).await;
    socket.reply(json!({"type": "place", "meal_id": meal})).await;
    client.listen(&format!("/heroes/{hero}/events")).await;
    client.get("/orders/999").await.problem(404, "order-not-found");
    client.get("/problems/order-not-found").await.is(200);

    for beyond in ["/", "/meals", "/ws", "/apps", "/apps/galleys/meals", "/apps/galley2", "/docs/"]
    {
        let problem = root.get(beyond).await.problem(404, "not-found");
        assert!(problem["detail"].to_string().contains(BASE), "{problem}");
    }
    for health in ["/healthz", "/readyz"] {
        root.get(health).await.is(200);
        client.get(health).await.is(200);
    }
    let bare = root.get(&format!("{BASE}?a=1")).await;
    assert_eq!((bare.status, bare.header("location")), (308, "/apps/galley/?a=1"));
}

on_both_deployments!(pages_and_documents_lead_to_the_base_path);
async fn pages_and_documents_lead_to_the_base_path(stack: StackBuilder) {
    let stack = stack.set("GALLEY_BASE_PATH", "/apps/galley/").start().await;
    let client = TestClient::new(&format!("{}{BASE}", stack.gateways[0].url));
    let page = client.get("/").await;
    assert_eq!(page.status, 200);
    let links: Vec<&str> =
        page.text.split("\"./").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() > 2 && !page.text.contains("\"/assets"), "{}", page.text);
    for link in links {
        assert_eq!(client.get(&format!("/{link}")).await.status, 200, "{link}");
    }
    assert_eq!(client.get("/docs").await.header("location"), "/apps/galley/docs/");
    let docs = client.get("/docs/swagger-initializer.js").await;
    assert!(docs.text.contains("\"../openapi.json\""), "{}", docs.text);
    assert_eq!(client.get("/docs/live").await.header("location"), "/apps/galley/docs/live/");
    let live = client.get("/docs/live/").await.text;
    assert!(live.contains("href=\"../../asyncapi.json\"") && !live.contains("href=\"/"), "{live}");
    let openapi = client.get("/openapi.json").await.is(200);
    assert_eq!(openapi["servers"], json!([{"url": BASE}]));
    let live = client.get("/asyncapi.json").await.is(200);
    for server in ["websocket", "http"] {
        assert_eq!(live["servers"][server]["pathname"], BASE, "{live}");
    }
    let listed = run("galley", &["hero", "list", "--json", "--url", client.base()], &[]).await;
    assert_eq!(listed.code, 0, "{listed:?}");
    let load = ["idle", "--url", client.base(), "--sockets", "2", "--duration", "1s"];
    let load = run("galley-load", &load, &[]).await;
    assert_eq!(load.code, 0, "{load:?}");
}

#[tokio::test]
async fn a_trusted_proxy_may_take_the_path_off_if_it_says_so() {
    let stack = TestStack::embedded().set("GALLEY_BASE_PATH", BASE);
    let stack = stack.set("GALLEY_TRUSTED_PROXIES", "127.0.0.2").start().await;
    let proxy = Ipv4Addr::new(127, 0, 0, 2);
    for (from, prefix, status) in [
        (proxy, BASE, 308),
        (proxy, "/apps/galley/", 308),
        (proxy, "/other", 404),
        (Ipv4Addr::LOCALHOST, BASE, 404),
    ] {
        let mut connection = RawConnection::open_from(&stack.gateways[0].url, from).await;
        let request = format!(
            "GET /docs HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Prefix: {prefix}\r\n\r\n"
        );
        connection.send(request.as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, status, "{from} {prefix}: {answer:?}");
        assert_eq!(
            answer.header("location").unwrap_or(BASE).strip_suffix("/docs/").unwrap_or(BASE),
            BASE
        );
    }
}
