//! A Redis of a test's own, that it may break.

use crate::Program;
use crate::patience::{until, within};
use crate::port;
use crate::program::{Signal, command};

/// A `redis-server` that keeps nothing; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    program: Program,
}

impl RedisServer {
    /// Starts one and waits for it.
    pub async fn start() -> Self {
        let port = port::free();
        let server = Self { port, program: launch(port) };
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

    /// Kills it; everything it held is lost.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again, empty, at the same address.
    pub async fn restart(&mut self) {
        self.program = launch(self.port);
        self.ready().await;
    }

    /// Stops it without ending it: its connections stay, and nothing comes.
    pub fn pause(&mut self) {
        self.program.signal(Signal::STOP);
    }

    /// Lets it go on after [`RedisServer::pause`].
    pub fn go_on(&mut self) {
        self.program.signal(Signal::CONT);
    }

    /// Runs a command that answers with a number or a text, and gives the answer.
    pub async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.url()).expect("a URL");
        within(&words.join(" "), async {
            let mut connection = client.get_multiplexed_async_connection().await.expect("it is running");
            redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.expect("an answer")
        })
        .await
    }

    async fn ready(&self) {
        let client = redis::Client::open(self.url()).expect("a URL");
        until("redis-server", async || {
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            redis::cmd("PING").query_async::<String>(&mut connection).await.ok()
        })
        .await;
    }
}

fn launch(port: u16) -> Program {
    let options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"];
    Program::start("redis-server", command("redis-server").args(options).arg(port.to_string()))
}
