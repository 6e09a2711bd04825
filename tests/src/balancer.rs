//! Real load balancers in front of gateways, configured as in production.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::patience::until;
use crate::program::command;
use crate::{TestClient, TestProgram, TestStack, port};

/// The name of the configuration, in the folder in which the program runs.
const FILE: &str = "configuration";
/// The interval of the checks of `HAProxy`. A single check decides.
const CHECK: Duration = Duration::from_millis(500);

/// A load balancer with one server for each gateway; killed when dropped.
#[derive(Debug)]
pub struct Balancer {
    port: u16,
    program: TestProgram,
    _folder: TempDir,
}

impl Balancer {
    /// Starts Caddy, which polls `/readyz` of each gateway, and tries another one when one cannot
    /// be reached.
    pub async fn caddy(stack: &TestStack, balance: &str) -> Self {
        let arguments = ["run", "--adapter", "caddyfile", "--config", FILE];
        Self::start(path_of_caddy(), &arguments, |port| caddyfile(stack, balance, port)).await
    }

    /// Starts nginx, which makes no health checks, and learns from failed requests which gateways
    /// answer. `balance` is a directive such as `least_conn`; if empty, gateways take turns.
    pub async fn nginx(stack: &TestStack, balance: &str) -> Self {
        let arguments = ["-p", ".", "-c", FILE];
        Self::start("nginx", &arguments, |port| nginx_conf(stack, balance, port)).await
    }

    /// Starts `HAProxy`, which polls `/readyz` of each gateway.
    pub async fn haproxy(stack: &TestStack, balance: &str) -> Self {
        Self::start("haproxy", &["-db", "-f", FILE], |port| haproxy_cfg(stack, balance, port)).await
    }

    /// Starts a program in a folder with the configuration for a free port, and waits until it
    /// forwards to a gateway.
    async fn start(
        path: &str,
        arguments: &[&str],
        configuration: impl FnOnce(u16) -> String,
    ) -> Self {
        let (port, folder) = (port::free(), tempfile::tempdir().expect("a folder"));
        std::fs::write(folder.path().join(FILE), configuration(port)).expect("a file");
        let mut command = command(path);
        command.args(arguments).current_dir(folder.path()).env("HOME", folder.path());
        let balancer =
            Self { port, program: TestProgram::start(path, &mut command), _folder: folder };
        let client = balancer.client();
        until(&format!("an answer of {path}"), async || {
            client.get("/healthz").try_send().await.ok().filter(|answer| answer.status == 200)
        })
        .await;
        balancer
    }

    /// Returns a client of the balancer, which chooses the gateway.
    #[must_use]
    pub fn client(&self) -> TestClient {
        TestClient::new(&format!("http://127.0.0.1:{}", self.port))
    }

    /// Returns the verdict of `HAProxy` on a gateway, `UP` or `DOWN`, from its own statistics.
    pub async fn status(&mut self, gateway: usize) -> String {
        assert!(self.program.is_running(), "{}", self.program.log());
        let table = self.client().get("/haproxy;csv").await.text;
        let row =
            table.lines().find(|line| line.starts_with(&format!("gateways,gateway{gateway},")));
        let status =
            row.and_then(|row| row.split(',').nth(17)).unwrap_or_else(|| panic!("{table}"));
        status.to_owned()
    }

    /// Waits until the verdict of `HAProxy` on a gateway begins with `status`.
    pub async fn until_status(&mut self, gateway: usize, status: &str) {
        until(status, async || self.status(gateway).await.starts_with(status).then_some(())).await;
    }
}

/// The address of each gateway, without the scheme.
fn addresses(stack: &TestStack) -> impl Iterator<Item = &str> {
    stack.gateways.iter().map(|gateway| gateway.url.trim_start_matches("http://"))
}

/// The program that `./test` installs, or else that of the system.
fn path_of_caddy() -> &'static str {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/caddy/bin/caddy");
    if Path::new(own).exists() { own } else { "caddy" }
}

fn caddyfile(stack: &TestStack, balance: &str, port: u16) -> String {
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
        addresses(stack).collect::<Vec<_>>().join(" ")
    )
}

/// The configuration of nginx, with a single process, so that killing it ends nginx. A gateway
/// never counts as failed, because one that is back must be used at once, and both may be down in
/// turn.
fn nginx_conf(stack: &TestStack, balance: &str, port: u16) -> String {
    let mut servers = String::new();
    for address in addresses(stack) {
        writeln!(servers, "server {address} max_fails=0;")
            .expect("writing to memory does not fail");
    }
    let balance = if balance.is_empty() { String::new() } else { format!("{balance};") };
    format!(
        "daemon off;
         master_process off;
         pid nginx.pid;
         error_log stderr crit;
         events {{ worker_connections 4096; }}
         http {{
           access_log off;
           client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
           map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
           upstream gateways {{
             {balance}
             {servers}
             keepalive 16;
           }}
           server {{
             listen 127.0.0.1:{port};
             location / {{
               proxy_pass http://gateways;
               proxy_http_version 1.1;
               proxy_set_header Upgrade $http_upgrade;
               proxy_set_header Connection $connection_upgrade;
               proxy_set_header Host $http_host;
               proxy_read_timeout 1h;
             }}
           }}
         }}
"
    )
}

fn haproxy_cfg(stack: &TestStack, balance: &str, port: u16) -> String {
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
    for (number, address) in addresses(stack).enumerate() {
        writeln!(text, "  server gateway{number} {address}")
            .expect("writing to memory does not fail");
    }
    text
}
