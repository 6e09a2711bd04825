//! A private Redis for a test that breaks it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use redis::{ErrorKind, FromRedisValue, RedisResult};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::patience::until;
use crate::port;
use crate::program::{Signal, command};
use crate::{Proxy, TestAuthority, TestProgram};

/// The time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server that speaks the protocol of Redis.
#[derive(Clone, Copy, Debug)]
pub enum RedisProduct {
    /// Redis itself.
    Redis,
    /// Valkey, which `./test` unpacks.
    Valkey,
}

/// A server without persistence; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    /// The port it listens on.
    pub port: u16,
    /// The process.
    pub program: TestProgram,
    command: Command,
    /// The folder for unavoidable files: the dump for a replica, the nodes of a cluster.
    _folder: TempDir,
}

impl RedisServer {
    /// Starts a server and waits for it.
    pub async fn start() -> Self {
        Self::start_with(&[] as &[&str]).await
    }

    /// Like [`RedisServer::start`], with further options.
    pub async fn start_with(options: &[impl AsRef<OsStr>]) -> Self {
        Self::start_program(&RedisProduct::Redis.program(), options).await
    }

    /// Starts a server that also listens with TLS, and on a Unix socket. A client with TLS must
    /// show a certificate of the authority.
    pub async fn with_tls(product: RedisProduct, authority: &TestAuthority) -> (Self, u16) {
        let (port, socket) = (port::free(), authority.folder().join("redis.sock"));
        let mut options = tls_options(authority, &["localhost"], port, "yes");
        options.extend(["--unixsocket".to_owned(), socket.display().to_string()]);
        (Self::start_program(&product.program(), &options).await, port)
    }

    /// Starts a Sentinel that watches the master of a service.
    pub async fn sentinel(service: &str, master: u16) -> Self {
        let (port, folder) = (port::free(), tempfile::tempdir().expect("a folder"));
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor {service} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {service} 1000\n\
             sentinel failover-timeout {service} 3000\n",
            folder.path().display()
        );
        let file = folder.path().join("sentinel.conf");
        fs::write(&file, settings).expect("a file");
        let mut command = command("redis-server");
        command.arg(file).arg("--sentinel");
        Self::run(port, command, folder).await
    }

    async fn start_program(program: &Path, options: &[impl AsRef<OsStr>]) -> Self {
        let (port, folder) = (port::free(), tempfile::tempdir().expect("a folder"));
        let mut command = command(program);
        command.args(["--save", ""]).args("--appendonly no --bind 127.0.0.1 --port".split(' '));
        command.arg(port.to_string()).args(["--repl-diskless-sync-delay", "0"]);
        command.arg("--dir").arg(folder.path()).args(options);
        Self::run(port, command, folder).await
    }

    async fn run(port: u16, mut command: Command, folder: TempDir) -> Self {
        let program = TestProgram::start("redis-server", &mut command);
        let server = Self { port, program, command, _folder: folder };
        server.ready().await;
        server
    }

    /// Starts a server, and a proxy in front of it.
    pub async fn behind_proxy() -> (Self, Proxy) {
        let redis = Self::start().await;
        let proxy = Proxy::start(redis.port).await;
        (redis, proxy)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it; its data is lost.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again, empty, at the same address.
    pub async fn restart(&mut self) {
        self.program = TestProgram::start("redis-server", &mut self.command);
        self.ready().await;
    }

    /// Pauses it with SIGSTOP: its connections stay open, and nothing is answered.
    pub fn pause(&mut self) {
        self.program.signal(Signal::STOP);
    }

    /// Continues it after [`RedisServer::pause`].
    pub fn go_on(&mut self) {
        self.program.signal(Signal::CONT);
    }

    /// Runs a command and returns its answer.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).await.unwrap_or_else(|error| panic!("{}: {error}", words.join(" ")))
    }

    /// Like [`RedisServer::ask`], for a server that may be unreachable or refuse.
    ///
    /// # Errors
    /// If the server is unreachable or refuses.
    pub async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let client = redis::Client::open(self.url()).expect("a URL");
        let answered = timeout(PATIENCE, async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
        });
        answered.await.unwrap_or_else(|_| Err((ErrorKind::Io, "Redis is silent").into()))
    }

    async fn ready(&self) {
        until("redis-server", async || self.try_ask::<String>(&["PING"]).await.ok()).await;
    }
}

impl RedisProduct {
    fn program(self) -> PathBuf {
        let unpacked =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/valkey/usr/bin/valkey-server");
        match self {
            Self::Redis => "redis-server".into(),
            Self::Valkey if Path::new(unpacked).exists() => unpacked.into(),
            Self::Valkey => "valkey-server".into(),
        }
    }
}

/// Returns the options of a server that listens with TLS at this port under these names. `clients`
/// says whether clients need a certificate of the authority: `yes`, `no` or `optional`.
pub(crate) fn tls_options(
    authority: &TestAuthority,
    hosts: &[&str],
    port: u16,
    clients: &str,
) -> Vec<String> {
    let own = authority.server(hosts);
    let files = [own.certificate, own.key, authority.certificate()];
    let [certificate, key, ca] = files.map(|path| path.display().to_string());
    let options = [
        ["--tls-port", &port.to_string()],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &ca],
        ["--tls-auth-clients", clients],
    ];
    options.concat().into_iter().map(str::to_owned).collect()
}
