//! A real `HAProxy` in front of gateways, configured as in production: it polls `/readyz` of each.

use std::fmt::Write as _;
use std::time::Duration;

use tempfile::TempDir;

use crate::patience::until;
use crate::program::command;
use crate::{Client, Program, Stack, port};

/// The interval of the checks, and the time-out of each. A single check decides.
const CHECK: Duration = Duration::from_millis(500);

/// A `haproxy` with one server for each gateway; killed when dropped.
#[derive(Debug)]
pub struct HaProxy {
    port: u16,
    program: Program,
    _folder: TempDir,
}

impl HaProxy {
    /// Starts `HAProxy` in front of all present gateways of the stack, and waits until it forwards
    /// to one.
    pub async fn start(stack: &Stack, balance: &str) -> Self {
        let port = port::free();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("haproxy.cfg");
        std::fs::write(&path, configuration(stack, balance, port)).expect("a file");
        let program = Program::start("haproxy", command("haproxy").arg("-db").arg("-f").arg(&path));
        let proxy = Self { port, program, _folder: folder };
        let client = proxy.client();
        until("an answer of HAProxy", async || {
            client.get("/healthz").try_send().await.ok().filter(|answer| answer.status == 200)
        })
        .await;
        proxy
    }

    /// Returns a client of `HAProxy`, which chooses the gateway.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.port))
    }

    /// Returns its verdict on a gateway, `UP` or `DOWN`, from its own statistics.
    pub async fn status(&mut self, gateway: usize) -> String {
        assert!(self.program.is_running(), "{}", self.program.log());
        let table = self.client().get("/haproxy;csv").await.text;
        let row =
            table.lines().find(|line| line.starts_with(&format!("gateways,gateway{gateway},")));
        let status =
            row.and_then(|row| row.split(',').nth(17)).unwrap_or_else(|| panic!("{table}"));
        status.to_owned()
    }

    /// Waits until its verdict on a gateway begins with `status`.
    pub async fn until_status(&mut self, gateway: usize, status: &str) {
        until(status, async || self.status(gateway).await.starts_with(status).then_some(())).await;
    }
}

fn configuration(stack: &Stack, balance: &str, port: u16) -> String {
    let check = CHECK.as_millis();
    let mut text = format!(
        "defaults
           mode http
           timeout connect 1s
           timeout client 1m
           timeout server 1m
           timeout tunnel 1h
           timeout check 5s
         frontend clients
           bind 127.0.0.1:{port}
           stats enable
           stats uri /haproxy
           default_backend gateways
         backend gateways
           balance {balance}
           option httpchk GET /readyz
           http-check expect status 200
           default-server inter {check}ms fall 1 rise 1 check
"
    );
    for (number, gateway) in stack.gateways.iter().enumerate() {
        let address = gateway.url.trim_start_matches("http://");
        writeln!(text, "  server gateway{number} {address}")
            .expect("writing to memory does not fail");
    }
    text
}
