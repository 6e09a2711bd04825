//! The REST calls of the coordinator: they prepare a test and read the final states.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::{Client, Method, Url};
use rustls::ClientConfig;
use serde::Serialize;
use serde_json::{Value, json};

use crate::load_failure::LoadFailure;
use crate::push_lag::Buckets;

/// Concurrent requests.
const AT_ONCE: usize = 32;
/// Timeout of one request.
const PATIENCE: Duration = Duration::from_secs(30);

/// Programs of the tested service that have one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceProgram {
    /// `gateway` or `worker`.
    pub program: String,
    pub version: String,
    pub count: usize,
}

#[derive(Clone)]
pub struct TestedGateway {
    client: Client,
    url: Url,
    /// The token of staff; `None` without authentication.
    token: Option<String>,
}

impl TestedGateway {
    /// A gateway at this URL, asked with this token of staff.
    pub fn at(url: &Url, tls: &ClientConfig, token: Option<&str>) -> Result<Self, LoadFailure> {
        // A gateway closes connections that were idle for 10 s. The client drops them earlier,
        // because it does not retry a request on a connection that was closed.
        let client = Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(tls.clone())
            .timeout(PATIENCE)
            .pool_idle_timeout(Duration::from_secs(4));
        let client =
            client.build().map_err(|error| LoadFailure::failed("cannot speak HTTP", &error))?;
        Ok(Self { client, url: url.clone(), token: token.map(str::to_owned) })
    }

    /// Checks that the gateway is reachable and ready for traffic.
    pub async fn is_ready(&self) -> Result<(), LoadFailure> {
        let (status, body) = self.ask(Method::GET, "/readyz", None).await?;
        if status == 200 {
            return Ok(());
        }
        Err(LoadFailure::Failed(format!(
            "the gateway at {} is not ready ({status}): {}",
            self.name(),
            body.trim()
        )))
    }

    pub async fn heroes(&self, count: usize, seed: u64) -> Result<Vec<i64>, LoadFailure> {
        self.create(
            "/heroes",
            count,
            |number| json!({"name": format!("Load {seed}-{number}"), "planet": "Earth"}),
        )
        .await
    }

    /// Creates meals without allergens and returns their ids.
    pub async fn meals(&self, count: usize, seed: u64) -> Result<Vec<i64>, LoadFailure> {
        let meal = |number| json!({"name": format!("Load {seed}-{number}"), "price": 9.5, "origin_planet": "Earth"});
        self.create("/meals", count, meal).await
    }

    /// Reads the versions of these orders; `None` for an order that does not exist.
    pub async fn versions(
        &self,
        orders: impl IntoIterator<Item = i64>,
    ) -> Result<Vec<Option<i64>>, LoadFailure> {
        let reads = stream::iter(orders).map(|id| async move {
            match self.ask(Method::GET, &format!("/orders/{id}"), None).await? {
                (200, body) => Ok(serde_json::from_str::<Value>(&body)
                    .ok()
                    .and_then(|order| order["version"].as_i64())),
                (404, _) => Ok(None),
                (status, body) => {
                    Err(LoadFailure::Failed(format!("GET /orders/{id} answered {status}: {body}")))
                }
            }
        });
        reads.buffered(AT_ONCE).try_collect().await
    }

    /// Lists the programs of the service by version; empty if the gateway does not tell.
    pub async fn programs(&self) -> Vec<ServiceProgram> {
        let Ok((200, body)) = self.ask(Method::GET, "/operations", None).await else {
            return Vec::new();
        };
        let report: Value = serde_json::from_str(&body).unwrap_or_default();
        let mut counts = BTreeMap::<_, usize>::new();
        for process in report["processes"].as_array().into_iter().flatten() {
            let version = process["report"]["version"].as_str().unwrap_or("unknown").to_owned();
            for program in ["gateway", "worker"] {
                if process["report"].get(program).is_some_and(|report| !report.is_null()) {
                    *counts.entry((program.to_owned(), version.clone())).or_default() += 1;
                }
            }
        }
        let programs = counts.into_iter();
        programs
            .map(|((program, version), count)| ServiceProgram { program, version, count })
            .collect()
    }

    /// Reads the push lags that the gateway has measured; `None` if it does not publish them.
    pub async fn push_lag(&self) -> Option<Buckets> {
        let (status, body) = self.ask(Method::GET, "/metrics", None).await.ok()?;
        (status == 200).then(|| Buckets::read(&body))
    }

    async fn create(
        &self,
        path: &str,
        count: usize,
        body: impl Fn(usize) -> Value,
    ) -> Result<Vec<i64>, LoadFailure> {
        let creations = stream::iter(0..count).map(|number| {
            let body = body(number);
            async move {
                let (status, answer) = self.ask(Method::POST, path, Some(body)).await?;
                let id = serde_json::from_str::<Value>(&answer)
                    .ok()
                    .and_then(|made| made["id"].as_i64());
                id.filter(|_| status == 201).ok_or_else(|| {
                    LoadFailure::Failed(format!("POST {path} answered {status}: {answer}"))
                })
            }
        });
        creations.buffered(AT_ONCE).try_collect().await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, String), LoadFailure> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        if status == 401 && self.token.is_none() {
            return Err(LoadFailure::Failed(format!(
                "the gateway at {} asks for tokens: name its secret with --jwt-secret-file, or a token of staff with --token-file",
                self.name()
            )));
        }
        Ok((status, answer.text().await.map_err(|error| self.unreachable(&error))?))
    }

    fn unreachable(&self, error: &reqwest::Error) -> LoadFailure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        LoadFailure::Failed(format!(
            "cannot reach the gateway at {}: {cause}; start one, or name another with --url",
            self.name()
        ))
    }

    fn name(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}
