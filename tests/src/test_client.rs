//! A client of the service over REST and `WebSockets`.

use std::pin::Pin;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use crate::json::{id, list, text};
use crate::patience::{until, within};
use crate::{Events, TestAnswer, TestSocket, install_tls_provider};

/// The longest idle time of a reused connection. A gateway closes it after 75 s, and a request that
/// crosses the close would fail.
const MAX_IDLE: Duration = Duration::from_mins(1);

/// A client of one gateway.
#[derive(Clone, Debug)]
pub struct TestClient {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

/// A request that is sent when it is awaited.
pub struct Call {
    question: String,
    request: RequestBuilder,
}

impl TestClient {
    /// A client of the gateway at this URL.
    #[must_use]
    pub fn new(base: &str) -> Self {
        install_tls_provider();
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_idle_timeout(MAX_IDLE)
            .redirect(reqwest::redirect::Policy::none());
        Self { base: base.to_owned(), http: http.build().expect("a client"), token: None }
    }

    /// Returns the same client with this token, which it sends in the header.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The token, if any.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The URL of the gateway.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request.
    #[must_use]
    pub fn call(&self, method: Method, path: &str) -> Call {
        let question = format!("{method} {path}");
        let request = self.http.request(method, format!("{}{path}", self.base));
        Call { request: self.token.iter().fold(request, RequestBuilder::bearer_auth), question }
    }

    /// `GET`.
    #[must_use]
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// `POST` with a JSON body.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// `PUT` with a JSON body.
    #[must_use]
    pub fn put(&self, path: &str, body: &Value) -> Call {
        self.call(Method::PUT, path).json(body)
    }

    /// `PATCH` with a JSON body.
    #[must_use]
    pub fn patch(&self, path: &str, body: &Value) -> Call {
        self.call(Method::PATCH, path).json(body)
    }

    /// `DELETE`.
    #[must_use]
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Creates a hero and returns its id.
    pub async fn create_hero(&self, name: &str, allergies: &[&str]) -> i64 {
        let body = json!({"name": name, "planet": "Earth", "allergies": allergies});
        id(&self.post("/heroes", &body).await.is(201))
    }

    /// Creates a meal and returns its id.
    pub async fn create_meal(&self, name: &str, ingredients: &[&str]) -> i64 {
        let body = json!({"name": name, "price": 9.5, "origin_planet": "Mars", "ingredients": ingredients});
        id(&self.post("/meals", &body).await.is(201))
    }

    /// Creates a hero and a meal that the hero may eat.
    pub async fn create_hero_and_meal(&self) -> (i64, i64) {
        (self.create_hero("Zoé", &[]).await, self.create_meal("Soup", &["water"]).await)
    }

    /// Places an order and returns it as in the answer.
    pub async fn place(&self, hero_id: i64, meal_id: i64) -> Value {
        self.place_call(hero_id, meal_id).await.is(202)
    }

    /// Places an order, waits until it has this status, and returns its id.
    pub async fn place_until(&self, hero_id: i64, meal_id: i64, status: &str) -> i64 {
        let order = id(&self.place(hero_id, meal_id).await);
        self.until_status(order, status).await;
        order
    }

    /// The request that places an order.
    #[must_use]
    pub fn place_call(&self, hero_id: i64, meal_id: i64) -> Call {
        self.post("/orders", &json!({"hero_id": hero_id, "meal_id": meal_id}))
    }

    /// Places an order at a gateway that may be overloaded: repeats the request under one key until
    /// it is accepted, after a 503 or no answer at all.
    pub async fn place_at_last(&self, hero_id: i64, meal_id: i64) -> Value {
        let (body, key) = (
            json!({"hero_id": hero_id, "meal_id": meal_id}),
            format!("{:016x}", rand::random::<u64>()),
        );
        until("an accepted order", async || {
            let answer = self
                .post("/orders", &body)
                .header("Idempotency-Key", &key)
                .try_send()
                .await
                .ok()?;
            (answer.status != 503).then(|| answer.is(202))
        })
        .await
    }

    /// Cancels an order.
    #[must_use]
    pub fn cancel(&self, order_id: i64) -> Call {
        self.post(&format!("/orders/{order_id}/cancel"), &json!({}))
    }

    /// Reads an order.
    pub async fn order(&self, order_id: i64) -> Value {
        self.get(&format!("/orders/{order_id}")).await.is(200)
    }

    /// Reads every page of a list.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let more = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{more}limit=100{cursor}")).await.is(200);
            items.extend_from_slice(list(&page, "items"));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// The value of the metric with this name and labels; 0 if it is absent.
    pub async fn metric(&self, name: &str) -> u64 {
        let metrics = self.get("/metrics").await.text;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// Waits until an order has this status.
    pub async fn until_status(&self, order_id: i64, status: &str) -> Value {
        let what = format!("order {order_id} is {status}");
        until(&what, async || {
            Some(self.order(order_id).await).filter(|order| text(order, "status") == status)
        })
        .await
    }

    /// Waits until no order has one of these statuses.
    pub async fn until_none(&self, statuses: &[&str]) {
        let path = format!("/orders?limit=1&status={}", statuses.join("&status="));
        until(&format!("no order is {statuses:?}"), async || {
            let answer = self.get(&path).await;
            (answer.status == 200 && list(&answer.json(), "items").is_empty()).then_some(())
        })
        .await;
    }

    /// Opens a socket of a hero and reads its welcome.
    pub async fn connect(&self, hero_id: i64) -> TestSocket {
        self.connect_with(&format!("?hero_id={hero_id}")).await
    }

    /// Opens a socket of a hero that resumes after a cursor.
    pub async fn resume(&self, hero_id: i64, cursor: &str) -> TestSocket {
        self.connect_with(&format!("?hero_id={hero_id}&cursor={cursor}")).await
    }

    /// Opens a socket with this query and reads its welcome.
    pub async fn connect_with(&self, query: &str) -> TestSocket {
        TestSocket::open(self.handshake(query))
            .await
            .unwrap_or_else(|error| panic!("/ws{query}: {error}"))
    }

    /// The status and the problem of a refused handshake.
    pub async fn refused(&self, query: &str) -> (u16, Value) {
        match TestSocket::open(self.handshake(query)).await {
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                (response.status().as_u16(), serde_json::from_slice(body).expect("a problem"))
            }
            other => panic!("/ws{query}: {other:?}"),
        }
    }

    /// Opens an event stream, which must be accepted.
    pub async fn listen(&self, path: &str) -> Events {
        self.get(path).listen().await.unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    /// A handshake with this query, to which headers may be added.
    #[must_use]
    pub fn handshake(&self, query: &str) -> Request {
        let mut request = self.socket_url(query).into_client_request().expect("a URL");
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").try_into().expect("a token is a header value");
            request.headers_mut().insert("authorization", value);
        }
        request
    }

    /// The URL of the sockets, with this query.
    #[must_use]
    pub fn socket_url(&self, query: &str) -> String {
        format!("{}/ws{query}", self.base.replacen("http", "ws", 1))
    }
}

impl Call {
    /// Adds a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    /// Sets a body as it is.
    #[must_use]
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.body(body), ..self }
    }

    /// Sends the request and opens the event stream of its answer.
    ///
    /// # Errors
    /// The answer, if it is no event stream.
    pub async fn listen(self) -> Result<Events, TestAnswer> {
        let Self { question, request } = self;
        let response = within(&question, request.send())
            .await
            .unwrap_or_else(|error| panic!("{question}: {error:?}"));
        Events::open(&question, response).await
    }

    /// Sends the request and returns its answer.
    ///
    /// # Errors
    /// When the connection is refused or cut.
    pub async fn try_send(self) -> Result<TestAnswer, reqwest::Error> {
        let Self { question, request } = self;
        within(&question, async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = response.text().await?;
            Ok(TestAnswer { question: question.clone(), status, headers, text })
        })
        .await
    }
}

impl IntoFuture for Call {
    type Output = TestAnswer;
    type IntoFuture = Pin<Box<dyn Future<Output = TestAnswer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let question = self.question.clone();
        Box::pin(async move {
            self.try_send().await.unwrap_or_else(|error| panic!("{question}: {error:?}"))
        })
    }
}
