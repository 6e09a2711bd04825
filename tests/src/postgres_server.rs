//! A `PostgreSQL` of a test's own, that it may break.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
    options: Vec<String>,
}

/// The owner of a server that refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub struct Account {
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
        let (account, folder) =
            (Account::of_servers(), tempfile::tempdir_in(parent).expect("a folder"));
        give(folder.path(), account);
        let options = [
            "--username=postgres",
            "--auth=trust",
            "--no-sync",
            "--no-instructions",
            "--locale=C.UTF-8",
            "--pgdata",
        ];
        let made =
            run_as(account, newest("initdb")).args(options).arg(data(folder.path())).output();
        check("initdb", &made.expect("initdb can be run"));
        Self::launch(account, folder, Vec::new()).await
    }

    /// A standby of this server, which follows it at this port, that of a proxy in between.
    pub async fn standby(&self, port: u16) -> Self {
        let (account, folder) = (self.account, tempfile::tempdir().expect("a folder"));
        give(folder.path(), account);
        let primary = ["--host=127.0.0.1", "--username=postgres", "--port", &self.port.to_string()];
        let options = [
            "--wal-method=stream",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
            "--pgdata",
        ];
        let mut copy = run_as(account, newest("pg_basebackup"));
        let copied = copy.args(primary).args(options).arg(data(folder.path())).output();
        check("pg_basebackup", &copied.expect("pg_basebackup can be run"));
        let primary = format!(
            "primary_conninfo=host=127.0.0.1 port={port} user=postgres application_name=standby"
        );
        let options =
            ["-c", &primary, "-c", "wal_retrieve_retry_interval=200ms"].map(str::to_owned);
        Self::launch(account, folder, options.to_vec()).await
    }

    async fn launch(account: Option<Account>, folder: TempDir, options: Vec<String>) -> Self {
        let port = port::free();
        let server = Self {
            program: launch(account, port, folder.path(), &options),
            port,
            account,
            folder,
            options,
        };
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

    /// Returns true if it has not been stopped, and has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.program.is_running()
    }

    /// Starts it again at the same address, with everything it held.
    pub async fn restart(&mut self) {
        self.program = launch(self.account, self.port, self.folder.path(), &self.options);
        self.ready().await;
    }

    async fn ready(&self) {
        until("postgres", async || PgConnection::connect(&self.url()).await.ok()).await;
    }
}

impl Drop for PostgresServer {
    /// A killed server leaves its children for a moment; one that is asked to stop at once does
    /// not.
    fn drop(&mut self) {
        self.program.quit();
    }
}

impl Account {
    /// The account for servers, when this process is root's.
    #[must_use]
    pub fn of_servers() -> Option<Self> {
        rustix::process::geteuid().is_root().then(Self::postgres)
    }

    fn postgres() -> Self {
        let id = |flag: &str| {
            let output = command("id").args([flag, "postgres"]).output().expect("`id` can be run");
            String::from_utf8_lossy(&output.stdout)
                .trim()
                .parse()
                .expect("there is an account for PostgreSQL")
        };
        Self { user: id("--user"), group: id("--group") }
    }
}

/// Gives a folder to the owner of the server.
pub fn give(folder: &Path, account: Option<Account>) {
    if let Some(Account { user, group }) = account {
        chown(folder, Some(user), Some(group)).expect("root may give a folder away");
    }
}

/// A command that runs as the owner of the server.
pub fn run_as(account: Option<Account>, program: impl AsRef<OsStr>) -> Command {
    let mut command = command(program);
    if let Some(Account { user, group }) = account {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

fn check(what: &str, output: &Output) {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

fn launch(account: Option<Account>, port: u16, folder: &Path, options: &[String]) -> Program {
    let mut command = run_as(account, newest("postgres"));
    command.arg("-D").arg(data(folder)).args([
        "-p",
        &port.to_string(),
        "-k",
        "",
        "-c",
        "listen_addresses=127.0.0.1",
    ]);
    // It does not end before a connection whose client is cut off in the middle of its greeting:
    // give such a client up soon.
    command.args([
        "-c",
        "authentication_timeout=3s",
        "-c",
        "fsync=off",
        "-c",
        "max_connections=50",
    ]);
    // The log has room on a small disk, and holds what a standby misses while it is cut off.
    command.args(["-c", "max_wal_size=96MB", "-c", "wal_keep_size=64MB"]).args(options);
    Program::start("postgres", &mut command)
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// The program of the newest `PostgreSQL` of this machine; Debian keeps them off the search path.
fn newest(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(version);
    newest.map_or_else(|| PathBuf::from(program), |folder| folder.join("bin").join(program))
}
