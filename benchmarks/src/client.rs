//! One HTTP/1 connection that costs little beside what it measures.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// One connection.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("no gateway at {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: address.to_string() })
    }

    /// Posts JSON; gives the status and the body.
    ///
    /// # Errors
    /// The connection is cut.
    pub async fn post(&mut self, path: &str, body: String) -> anyhow::Result<(u16, Bytes)> {
        self.send(Method::POST, path, body).await
    }

    /// Creates something; gives its id.
    ///
    /// # Errors
    /// It was not created.
    pub async fn create(&mut self, path: &str, body: Value) -> anyhow::Result<i64> {
        let (status, body) = self.post(path, body.to_string()).await?;
        ensure!(status == 201, "{path} answered {status}");
        serde_json::from_slice::<Value>(&body)?["id"].as_i64().context("what was created has an id")
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// The answer is not 200.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.send(Method::GET, path, String::new()).await?;
        ensure!(status == 200, "{path} answered {status}");
        Ok(serde_json::from_slice(&body)?)
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> anyhow::Result<(u16, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}
