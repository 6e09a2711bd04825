//! A real nginx in front of gateways, as people run it: it asks nobody, and finds out by itself who
//! answers.

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
    /// Starts one in front of all gateways that the stack has now, and waits until it answers with
    /// one of them. `balance` is a directive such as `least_conn`; without one it takes them in
    /// turn.
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

    /// A client of whichever gateway it chooses.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&format!("http://127.0.0.1:{}", self.port))
    }
}

/// One process, which is the one that is killed. `max_fails=0`: a gateway that is back is taken at
/// once, and both may be away in turn.
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
