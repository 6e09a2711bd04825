//! Redis servers of a test's own, that it may break.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::Value;
use tempfile::TempDir;

/// A running `redis-server`; killed when dropped.
pub struct RedisProcess {
    port: u16,
    options: Vec<String>,
    child: Child,
    folder: TempDir,
}

impl RedisProcess {
    /// Starts one on a free port.
    pub fn start() -> Self {
        Self::with_options(free_port(), Vec::new())
    }

    /// Starts two that share the slots of a cluster.
    pub async fn start_cluster() -> Vec<Self> {
        let start = || {
            let options = "--cluster-enabled yes --cluster-announce-ip 127.0.0.1 --cluster-port";
            let (port, bus_port) = (free_port(), free_port());
            let mut options: Vec<String> = options.split(' ').map(str::to_owned).collect();
            options.push(bus_port.to_string());
            (Self::with_options(port, options), bus_port)
        };
        let ((one, _), (two, two_bus)) = (start(), start());
        one.command("CLUSTER", &["ADDSLOTSRANGE", "0", "8191"]).await;
        two.command("CLUSTER", &["ADDSLOTSRANGE", "8192", "16383"]).await;
        one.command("CLUSTER", &["MEET", "127.0.0.1", &two.port.to_string(), &two_bus.to_string()])
            .await;
        for server in [&one, &two] {
            super::bus_stage::eventually(async || {
                let info = format!("{:?}", server.command("CLUSTER", &["INFO"]).await);
                info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384")
            })
            .await;
        }
        vec![one, two]
    }

    fn with_options(port: u16, options: Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let child = spawn(port, folder.path(), &options);
        Self { port, options, child, folder }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it with -9.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is running");
        self.child.wait().expect("it was killed");
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.child = spawn(self.port, self.folder.path(), &self.options);
    }

    /// Stops it without ending it, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .expect("kill exists");
        assert!(status.success());
    }

    /// Runs a command.
    pub async fn command(&self, name: &str, arguments: &[&str]) -> Value {
        let client = redis::Client::open(self.url()).expect("a URL");
        let mut connection =
            client.get_multiplexed_async_connection().await.expect("it is running");
        redis::cmd(name).arg(arguments).query_async(&mut connection).await.expect("an answer")
    }

    /// How often a command was called.
    pub async fn calls(&self, command: &str) -> u64 {
        let Value::BulkString(info) = self.command("INFO", &["commandstats"]).await else {
            panic!("no text")
        };
        let info = String::from_utf8(info).expect("text");
        let line =
            info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|rest| rest.split(',').next())
            .map_or(0, |calls| calls.parse().expect("a number"))
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &Path, options: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--save", ""]).args("--appendonly no --bind 127.0.0.1 --port".split(' '));
    command.arg(port.to_string());
    command.arg("--dir").arg(folder).args(options).stdout(Stdio::piped());
    let mut child = command.spawn().expect("redis-server is installed");
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut lines = output.lines().map(|line| line.expect("text"));
    assert!(
        lines.any(|line| line.contains("Ready to accept connections")),
        "redis-server did not start on port {port}"
    );
    // Whatever it says later is read and forgotten, so that it never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Longer than anything here takes when it works.
pub const LONG: Duration = Duration::from_secs(20);
