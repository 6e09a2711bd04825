//! A private Redis for a test that breaks it.

use std::time::Duration;

use redis::{ErrorKind, FromRedisValue, RedisResult};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::Program;
use crate::patience::until;
use crate::port;
use crate::program::{Signal, command};

/// The time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A `redis-server` without persistence; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    program: Program,
    options: Vec<String>,
    /// The folder for unavoidable files: the dump for a replica, the nodes of a cluster.
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server and waits for it.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Like [`RedisServer::start`], with further options.
    pub async fn start_with(options: &[&str]) -> Self {
        let (port, folder) = (port::free(), tempfile::tempdir().expect("a folder"));
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let program = launch(port, &folder, &options);
        let server = Self { port, program, options, folder };
        server.ready().await;
        server
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
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

    /// Returns true if it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.program.is_running()
    }

    /// Starts it again, empty, at the same address.
    pub async fn restart(&mut self) {
        self.program = launch(self.port, &self.folder, &self.options);
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

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.program.signal(signal);
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

fn launch(port: u16, folder: &TempDir, more: &[String]) -> Program {
    let options = [
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--repl-diskless-sync-delay",
        "0",
        "--port",
    ];
    let mut command = command("redis-server");
    command.args(options).arg(port.to_string()).arg("--dir").arg(folder.path()).args(more);
    Program::start("redis-server", &mut command)
}
