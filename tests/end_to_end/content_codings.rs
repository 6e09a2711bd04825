//! Answers are compressed for those who accept it, and are the same answers.

use std::io::Read as _;

use galley_tests::{RawConnection, TestStack};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;

/// An answer with its bytes as they came.
struct Coded {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Coded {
    async fn get(base: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::ask(Method::GET, base, path, headers).await
    }

    async fn ask(method: Method, base: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = reqwest::Client::new().request(method, format!("{base}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Self { status, headers, bytes: answer.bytes().await.expect("a whole body").to_vec() }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    fn is_coded(&self) -> bool {
        self.header("content-encoding") == "gzip"
    }

    fn varies(&self) -> bool {
        self.headers.get_all("vary").iter().any(|value| value == "accept-encoding")
    }

    fn decoded(&self) -> Vec<u8> {
        let mut decoded = Vec::new();
        flate2::read::GzDecoder::new(&*self.bytes).read_to_end(&mut decoded).expect("gzip");
        decoded
    }
}

/// A stack with a menu of more than 100 KiB.
async fn stack() -> TestStack {
    let stack = TestStack::embedded().start().await;
    let ingredients: Vec<String> =
        (0..100).map(|number| format!("{number} {}", "é".repeat(150))).collect();
    for number in 0..4 {
        let meal = json!({"name": format!("Meal {number}"), "price": 1, "origin_planet": "Earth", "ingredients": ingredients});
        stack.client().post("/meals", &meal).await.is(201);
    }
    stack
}

/// The path of the dashboard's script, whose name has a hash.
async fn script(base: &str) -> String {
    let page = Coded::get(base, "/", &[]).await;
    let page = String::from_utf8(page.bytes).expect("text");
    let from = page.find("/assets/index-").expect("a script");
    page[from..].split('"').next().expect("a path").to_owned()
}

#[tokio::test]
async fn a_text_is_compressed_for_who_accepts_it() {
    let stack = stack().await;
    let base = &stack.gateways[0].url;
    let script = script(base).await;
    let paths =
        ["/meals", "/meals/1", &script, "/openapi.json", "/asyncapi.json", "/docs/swagger-ui.css"];
    for path in paths {
        let plain = Coded::get(base, path, &[]).await;
        assert!(!plain.is_coded() && plain.varies() && plain.bytes.len() > 1_024, "{path}");
        for _ in 0..2 {
            let coded = Coded::get(base, path, &[("accept-encoding", "br, gzip;q=0.8")]).await;
            assert!(coded.is_coded() && coded.varies(), "{path}: {:?}", coded.headers);
            assert!(coded.decoded() == plain.bytes, "{path} is the same text");
            assert!(coded.bytes.len() * 2 < plain.bytes.len(), "{path}: {}", coded.bytes.len());
            let head = Coded::ask(Method::HEAD, base, path, &[("accept-encoding", "gzip")]).await;
            for name in ["content-encoding", "content-length", "content-type", "etag", "vary"] {
                assert_eq!(head.header(name), coded.header(name), "{path}: {name}");
            }
        }
        for refused in ["gzip;q=0", "identity", "br", "gzip;q=0.1, identity;q=0.9", "*;q=0"] {
            let answer = Coded::get(base, path, &[("accept-encoding", refused)]).await;
            assert!(!answer.is_coded() && answer.bytes == plain.bytes, "{path}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_short_answer_and_an_event_stream_are_not_compressed() {
    let stack = TestStack::embedded().start().await;
    let base = &stack.gateways[0].url;
    assert!(!Coded::get(base, "/healthz", &[("accept-encoding", "gzip")]).await.is_coded());
    let demanded = [("accept-encoding", "gzip, identity;q=0")];
    assert!(Coded::get(base, "/healthz", &demanded).await.is_coded(), "nothing else is accepted");
    let mut stream = RawConnection::open(base).await;
    let ask =
        "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, identity;q=0\r\n\r\n";
    stream.send(ask.as_bytes()).await;
    let answer = stream.answer().await;
    assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{answer:?}");
}

#[tokio::test]
async fn a_file_is_kept_as_long_as_its_name_allows_and_not_sent_twice() {
    let stack = TestStack::embedded().start().await;
    let base = &stack.gateways[0].url;
    let script = script(base).await;
    let immutable = "public, max-age=31536000, immutable";
    for (path, kept) in [
        (&*script, immutable),
        ("/assets/icon.svg", "no-cache"),
        ("/", "no-cache"),
        ("/docs/", "no-cache"),
        ("/docs/live/", "no-cache"),
        ("/docs/swagger-ui.css", "no-cache"),
        ("/openapi.json", "no-cache"),
        ("/asyncapi.json", "no-cache"),
    ] {
        let tag = Coded::get(base, path, &[]).await.header("etag").to_owned();
        assert!(tag.len() > 2 && tag.starts_with('"'), "{path}: {tag}");
        let listed = format!("\"other\", W/{tag}");
        for condition in [&tag, &format!("W/{tag}"), &listed, "*"] {
            let answer = Coded::get(base, path, &[("if-none-match", condition)]).await;
            assert_eq!((answer.status, answer.bytes.len()), (304, 0), "{path}: {condition}");
            assert_eq!((answer.header("etag"), answer.header("cache-control")), (&*tag, kept));
            assert!(answer.varies(), "{path}");
        }
        let other = Coded::get(base, path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!(other.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_weak_tag_of_a_compressed_resource_guards_a_change() {
    let stack = stack().await;
    let client = stack.client();
    let read = Coded::get(client.base(), "/meals/1", &[("accept-encoding", "gzip")]).await;
    assert_eq!(read.header("etag"), "W/\"1\"");
    for (condition, status) in
        [("W/\"1\"", 200), ("W/\"1\"", 412), ("\"9\", W/\"2\"", 200), ("W/\"x\"", 412), ("*", 200)]
    {
        let change = client.patch("/meals/1", &json!({"price": 2})).header("if-match", condition);
        assert_eq!(change.await.status, status, "{condition}");
    }
}
