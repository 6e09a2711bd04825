//! A real Caddy in front of gateways, configured as in production: it polls `/readyz` of each
//! gateway, and tries another one when one cannot be reached.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::patience::until;
use crate::program::command;
use crate::{Client, Program, Stack, port};

/// A `caddy` with one upstream for each gateway; killed when dropped.
#[derive(Debug)]
pub struct Caddy {
    port: u16,
    _program: Program,
    _folder: TempDir,
}

impl Caddy {
    /// Starts Caddy in front of all present gateways of the stack, and waits until it forwards to
    /// one.
    pub async fn start(stack: &Stack, balance: &str) -> Self {
        let port = port::free();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Caddyfile");
        std::fs::write(&path, configuration(stack, balance, port)).expect("a file");
        let mut caddy = command(program());
        caddy.arg("run").arg("--config").arg(&path).env("HOME", folder.path());
        let proxy = Self { port, _program: Program::start("caddy", &mut caddy), _folder: folder };
        let client = proxy.client();
        until("an answer of Caddy", async || {
            client.get("/healthz").try_send().await.ok().filter(|answer| answer.status == 200)
        })
        .await;
        proxy
    }

    /// Returns a client of Caddy, which chooses the gateway.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.port))
    }
}

/// The program that `./test` installs, or else that of the system.
fn program() -> PathBuf {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/caddy/bin/caddy");
    if std::path::Path::new(own).exists() { own.into() } else { "caddy".into() }
}

fn configuration(stack: &Stack, balance: &str, port: u16) -> String {
    let gateways: Vec<&str> =
        stack.gateways.iter().map(|gateway| gateway.url.trim_start_matches("http://")).collect();
    format!(
        "{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  reverse_proxy {} {{
    lb_policy {balance}
    lb_try_duration 5s
    lb_try_interval 50ms
    health_uri /readyz
    health_interval 500ms
  }}
}}
",
        gateways.join(" ")
    )
}
