//! A private `PostgreSQL` for a test that breaks it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use crate::TestProgram;
use crate::patience::until;
use crate::port;
use crate::program::{Signal, command};
use crate::test_authority::{TestAuthority, TestCertificate};

/// A server with its own data folder; killed when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    /// The port it listens on.
    pub port: u16,
    /// The process.
    pub program: TestProgram,
    command: Command,
    _folder: TempDir,
}

/// The user that runs a server, because `PostgreSQL` refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    user: u32,
    group: u32,
}

impl PostgresServer {
    /// Creates a cluster, starts it, and waits for it.
    pub async fn start() -> Self {
        Self::start_in(&std::env::temp_dir()).await
    }

    /// Like [`PostgresServer::start`], with these options, which win over the usual ones.
    pub async fn start_with(options: &[&str]) -> Self {
        Self::create(&std::env::temp_dir(), options).await
    }

    /// Like [`PostgresServer::start`], with its files in this folder, which every user may enter.
    pub async fn start_in(parent: &Path) -> Self {
        Self::create(parent, &[]).await
    }

    async fn create(parent: &Path, settings: &[&str]) -> Self {
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
        Self::launch(account, folder, settings).await
    }

    /// Creates a cluster with TLS and with these lines of `pg_hba.conf` after those that let the
    /// superuser in, with the programs of this folder or the newest ones.
    pub async fn secured(
        programs: Option<&Path>,
        authority: &TestAuthority,
        certificate: &TestCertificate,
        access: &str,
    ) -> Self {
        let (account, folder) = (Account::of_servers(), tempfile::tempdir().expect("a folder"));
        give(folder.path(), account);
        let path = |name: &str| programs.map_or_else(|| newest(name), |folder| folder.join(name));
        let options =
            ["--username=postgres", "--auth=trust", "--no-sync", "--no-instructions", "--pgdata"];
        let made = run_as(account, path("initdb")).args(options).arg(data(folder.path())).output();
        check("initdb", &made.expect("initdb can be run"));
        let file = |name: &str, content: &[u8]| {
            let path = data(folder.path()).join(name);
            fs::write(&path, content).expect("a file");
            give(&path, account);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
        };
        let read = |path: &Path| fs::read(path).expect("a file");
        file("ca.pem", &read(&authority.certificate()));
        file("server.crt", &read(&certificate.certificate));
        file("server.key", &read(&certificate.key));
        let superuser = "host all postgres 127.0.0.1/32 trust";
        file("pg_hba.conf", format!("{superuser}\n{access}\n").as_bytes());
        let options = ["-c", "ssl=on", "-c", "ssl_ca_file=ca.pem"];
        Self::launch_program(&path("postgres"), account, folder, &options).await
    }

    /// Starts a standby of this server, which replicates through the proxy at this port.
    pub async fn standby(&self, port: u16) -> Self {
        let (account, folder) = (Account::of_servers(), tempfile::tempdir().expect("a folder"));
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
        let options = ["-c", &primary, "-c", "wal_retrieve_retry_interval=200ms"];
        Self::launch(account, folder, &options).await
    }

    async fn launch(account: Option<Account>, folder: TempDir, options: &[&str]) -> Self {
        Self::launch_program(&newest("postgres"), account, folder, options).await
    }

    async fn launch_program(
        program: &Path,
        account: Option<Account>,
        folder: TempDir,
        options: &[&str],
    ) -> Self {
        let port = port::free();
        let mut command = postgres(program, account, port, folder.path(), options);
        let program = TestProgram::start("postgres", &mut command);
        let server = Self { port, program, command, _folder: folder };
        server.ready().await;
        server
    }

    /// The URL for a superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs a statement as a superuser.
    pub async fn execute(&self, statement: &str) {
        let mut admin = PgConnection::connect(&self.url()).await.expect("it answers");
        let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut admin).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// The number that a statement returns.
    pub async fn number(&self, statement: &str) -> i64 {
        let mut admin = PgConnection::connect(&self.url()).await.expect("it answers");
        let asked = sqlx::query_scalar(AssertSqlSafe(statement.to_owned()));
        let answer = asked.fetch_one(&mut admin).await;
        answer.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Stops it and cuts every connection.
    pub async fn stop(&mut self) {
        self.program.signal(Signal::INT); // a "fast" shutdown
        self.program.exit().await;
    }

    /// Stops it at once, without a checkpoint: it must recover committed changes from its log.
    pub fn crash(&mut self) {
        self.program.quit();
    }

    /// Starts it again at the same address, with its data.
    pub async fn restart(&mut self) {
        self.program = TestProgram::start("postgres", &mut self.command);
        self.ready().await;
    }

    async fn ready(&self) {
        until("postgres", async || PgConnection::connect(&self.url()).await.ok()).await;
    }
}

impl Drop for PostgresServer {
    /// Stops the server at once with a signal, because the children of a killed server outlive it
    /// for a moment.
    fn drop(&mut self) {
        self.program.quit();
    }
}

impl Account {
    /// The account for servers; `None` if this process does not run as root.
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

/// Gives a folder or a file to the owner of the server.
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

fn postgres(
    program: &Path,
    account: Option<Account>,
    port: u16,
    folder: &Path,
    options: &[&str],
) -> Command {
    let mut command = run_as(account, program);
    command.arg("-D").arg(data(folder)).args(["-k", "", "-p", &port.to_string()]);
    // The server does not end while a client is cut off in the middle of its handshake, so it must
    // give up such a client soon. The log fits on a small disk, and keeps the changes that a
    // disconnected standby misses.
    for setting in [
        "listen_addresses=127.0.0.1",
        "authentication_timeout=3s",
        "fsync=off",
        "max_connections=50",
        "max_wal_size=96MB",
        "wal_keep_size=64MB",
    ] {
        command.args(["-c", setting]);
    }
    command.args(options);
    command
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// The path of a program of the newest `PostgreSQL` on this machine; Debian does not put them on
/// the search path.
fn newest(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(version);
    newest.map_or_else(|| PathBuf::from(program), |folder| folder.join("bin").join(program))
}
