//! A real nginx in front of gateways, configured as in production: it makes no health checks, and
//! learns from failed requests which gateways answer.

use std::fmt::Write as _;

use tempfile::TempDir;

use crate::patience::until;
use crate::program::command;
use crate::{Client, Program, Stack, port};

/// An `nginx` with one server for each gateway; killed when dropped.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    _program: Program,
    _folder: TempDir,
}

impl Nginx {
    /// Starts nginx in front of all present gateways of the stack, and waits until it forwards to
    /// one. `balance` is a directive such as `least_conn`; if empty, gateways take turns.
    pub async fn start(stack: &Stack, balance: &str) -> Self {
        let port = port::free();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, configuration(stack, balance, port)).expect("a file");
        let mut nginx = command("nginx");
        nginx.arg("-p").arg(folder.path()).arg("-c").arg(&path);
        let proxy = Self { port, _program: Program::start("nginx", &mut nginx), _folder: folder };
        let client = proxy.client();
        until("an answer of nginx", async || {
            client.get("/healthz").try_send().await.ok().filter(|answer| answer.status == 200)
        })
        .await;
        proxy
    }

    /// Returns a client of nginx, which chooses the gateway.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.port))
    }
}

/// The configuration, with a single process, so that killing it ends nginx. `max_fails=0`, because
/// a gateway that is back must be used at once, and both may be down in turn.
fn configuration(stack: &Stack, balance: &str, port: u16) -> String {
    let mut servers = String::new();
    for gateway in &stack.gateways {
        let address = gateway.url.trim_start_matches("http://");
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
