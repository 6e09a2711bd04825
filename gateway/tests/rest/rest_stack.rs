//! A gateway for one test, and a client with one method per verb.

use std::path::PathBuf;

use clap::Parser;
use galley_bus::BusConfig;
use galley_gateway::{Gateway, GatewayConfig};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

#[derive(Parser)]
struct GatewayArguments {
    #[command(flatten)]
    gateway: GatewayConfig,
}

/// A running gateway, which stops when this is dropped.
pub struct RestStack {
    base: String,
    client: reqwest::Client,
    _stop: DropGuard,
    _directory: TempDir,
}

/// An answer of the gateway.
#[derive(Debug)]
pub struct RestAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl RestStack {
    /// Starts a gateway on an empty database.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file: PathBuf = directory.path().join("galley.db");
        let store =
            galley_store::connect(&format!("sqlite://{}", file.display())).await.expect("a store");
        store.migrate().await.expect("a schema");
        let bus = galley_bus::connect(&BusConfig::default()).await.expect("a bus");
        let settings = GatewayArguments::try_parse_from(["gateway", "--listen", "127.0.0.1:0"])
            .expect("settings");
        let gateway = Gateway::bind(settings.gateway, store, bus).expect("an address");
        let base = gateway.address();
        let stop = CancellationToken::new();
        tokio::spawn(gateway.run(stop.clone()));
        galley_launch::install_tls_provider();
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        Self { base, client, _stop: stop.drop_guard(), _directory: directory }
    }

    /// Sends a request as it is.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> RestAnswer {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request =
                request.header(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        RestAnswer { status, headers, text: response.text().await.expect("text") }
    }

    /// Sends a request with a JSON body.
    pub async fn json(&self, method: &str, path: &str, body: &Value) -> RestAnswer {
        self.send(method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Sends a request with a JSON body under a condition.
    pub async fn json_if(
        &self,
        method: &str,
        path: &str,
        condition: &str,
        body: &Value,
    ) -> RestAnswer {
        self.send(
            method,
            path,
            &[("content-type", "application/json"), ("if-match", condition)],
            body.to_string(),
        )
        .await
    }

    /// Sends a request without a body.
    pub async fn call(&self, method: &str, path: &str) -> RestAnswer {
        self.send(method, path, &[], "").await
    }

    /// Sends a GET request.
    pub async fn get(&self, path: &str) -> RestAnswer {
        self.call("GET", path).await
    }

    /// Creates a thing and returns its id.
    pub async fn create(&self, path: &str, body: &Value) -> i64 {
        let answer = self.json("POST", path, body).await;
        assert!(answer.status == 201 || answer.status == 202, "{answer:?}");
        answer.body()["id"].as_i64().expect("an id")
    }

    /// Creates a hero.
    pub async fn hero(&self, name: &str) -> i64 {
        self.create("/heroes", &serde_json::json!({"name": name, "planet": "Earth"})).await
    }

    /// Creates a meal.
    pub async fn meal(&self, name: &str) -> i64 {
        self.create(
            "/meals",
            &serde_json::json!({"name": name, "price": 7.5, "origin_planet": "Earth"}),
        )
        .await
    }

    /// Places an order.
    pub async fn order(&self, hero_id: i64, meal_id: i64) -> i64 {
        self.create("/orders", &serde_json::json!({"hero_id": hero_id, "meal_id": meal_id})).await
    }
}

impl RestAnswer {
    /// Returns the body, which must be JSON.
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Returns what was created under the path of its list, and its own path: its `Location`.
    pub fn created(&self, list: &str) -> (Value, String) {
        let created = self.body();
        let path = format!("{list}/{}", created["id"]);
        assert_eq!(self.header("location"), path);
        (created, path)
    }

    /// Returns a header; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// Returns the ids of the entries of a page.
    pub fn ids(&self) -> Vec<i64> {
        let items = self.body()["items"].as_array().expect("items").clone();
        items.iter().map(|item| item["id"].as_i64().expect("an id")).collect()
    }

    /// Checks that this is a problem of the type, and returns its body.
    #[track_caller]
    pub fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.body();
        assert_eq!(body["type"], format!("/problems/{slug}"), "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        body
    }

    /// Checks that this is a problem that names exactly one wrong field.
    #[track_caller]
    pub fn wrong(&self, status: u16, slug: &str, pointer: &str) {
        let body = self.problem(status, slug);
        let pointers: Vec<&Value> = body["errors"]
            .as_array()
            .expect("errors")
            .iter()
            .map(|error| &error["pointer"])
            .collect();
        assert_eq!(pointers, [pointer], "{body}");
    }
}
