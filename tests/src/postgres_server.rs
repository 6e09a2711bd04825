//! A `PostgreSQL` of a test's own, that it may break.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use crate::Program;
use crate::patience::until;
use crate::port;
use crate::program::{Signal, command};

/// A cluster in a folder of its own; killed when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    program: Program,
    port: u16,
    account: Option<Account>,
    folder: TempDir,
}

/// Whose the server is: it refuses to run as root.
#[derive(Clone, Copy, Debug)]
struct Account {
    user: u32,
    group: u32,
}

impl PostgresServer {
    /// Makes a cluster, starts it, and waits for it.
    pub async fn start() -> Self {
        Self::start_in(&std::env::temp_dir()).await
    }

    /// The same, with its files within this folder, which everybody may enter.
    pub async fn start_in(parent: &Path) -> Self {
        let folder = tempfile::tempdir_in(parent).expect("a folder");
        let account = rustix::process::geteuid().is_root().then(Account::postgres);
        if let Some(Account { user, group }) = account {
            chown(folder.path(), Some(user), Some(group)).expect("root may give a folder away");
        }
        let options = ["--username=postgres", "--auth=trust", "--no-sync", "--no-instructions", "--locale=C.UTF-8", "--pgdata"];
        let made = run_as(account, "initdb").args(options).arg(data(folder.path())).output().expect("initdb can be run");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = port::free();
        let server = Self { program: launch(account, port, folder.path()), port, account, folder };
        server.ready().await;
        server
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL for somebody who may do everything.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Cuts every connection and stops it.
    pub async fn stop(&mut self) {
        self.program.signal(Signal::INT); // a "fast" shutdown
        self.program.exit().await;
    }

    /// Stops it at once, without a checkpoint: what it has committed it must find again in its log.
    pub fn crash(&mut self) {
        self.program.quit();
    }

    /// Whether it has not been stopped, and has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.program.is_running()
    }

    /// Starts it again at the same address, with everything it held.
    pub async fn restart(&mut self) {
        self.program = launch(self.account, self.port, self.folder.path());
        self.ready().await;
    }

    async fn ready(&self) {
        until("postgres", async || PgConnection::connect(&self.url()).await.ok()).await;
    }
}

impl Drop for PostgresServer {
    /// A killed server leaves its children for a moment; one that is asked to stop at once does not.
    fn drop(&mut self) {
        self.program.quit();
    }
}

impl Account {
    fn postgres() -> Self {
        let id = |flag: &str| {
            let output = command("id").args([flag, "postgres"]).output().expect("`id` can be run");
            String::from_utf8_lossy(&output.stdout).trim().parse().expect("there is an account for PostgreSQL")
        };
        Self { user: id("--user"), group: id("--group") }
    }
}

fn launch(account: Option<Account>, port: u16, folder: &Path) -> Program {
    let mut command = run_as(account, "postgres");
    command.arg("-D").arg(data(folder)).args(["-p", &port.to_string(), "-k", "", "-c", "listen_addresses=127.0.0.1"]);
    // It does not end before a connection whose client is cut off in the middle of its greeting: give such a client up soon.
    command.args(["-c", "authentication_timeout=3s"]);
    Program::start("postgres", command.args(["-c", "fsync=off", "-c", "max_connections=50"]))
}

fn run_as(account: Option<Account>, program: &str) -> Command {
    let mut command = command(newest(program));
    if let Some(Account { user, group }) = account {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// The program of the newest `PostgreSQL` of this machine; Debian keeps them off the search path.
fn newest(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(version);
    newest.map_or_else(|| PathBuf::from(program), |folder| folder.join("bin").join(program))
}
