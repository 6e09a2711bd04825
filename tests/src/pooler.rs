//! A private `PgBouncer` for a test that breaks it.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::Program;
use crate::patience::until;
use crate::port;
use crate::postgres_server::{Account, give, run_as};
use crate::program::Signal;

/// The folders in which it may be installed.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];

/// `PgBouncer` in session mode in front of one `PostgreSQL`; killed when dropped.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    program: Program,
    folder: TempDir,
}

impl Pooler {
    /// Returns true if `PgBouncer` is installed.
    #[must_use]
    pub fn is_installed() -> bool {
        path().is_some()
    }

    /// Starts `PgBouncer` in front of the `PostgreSQL` at this port, and waits for it.
    pub async fn start(server: u16) -> Self {
        let (port, folder) = (port::free(), tempfile::tempdir().expect("a folder"));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = session\nmax_client_conn = 200\ndefault_pool_size = 45\n\
             ignore_startup_parameters = extra_float_digits,options\nserver_login_retry = 1\n"
        );
        fs::write(settings_in(folder.path()), settings).expect("the settings can be written");
        give(folder.path(), Account::of_servers());
        let pooler = Self { port, program: launch(folder.path()), folder };
        pooler.ready().await;
        pooler
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it and thereby every connection.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Returns true if it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.program.is_running()
    }

    /// Starts it again at the same address, and waits until it listens. It may not serve yet,
    /// because the server behind it may have no free connection.
    pub async fn restart(&mut self) {
        self.program = launch(self.folder.path());
        until("pgbouncer", async || TcpStream::connect(("127.0.0.1", self.port)).await.ok()).await;
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.program.signal(signal);
    }

    async fn ready(&self) {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        until("pgbouncer", async || PgConnection::connect(&url).await.ok()).await;
    }
}

fn launch(folder: &Path) -> Program {
    let path = path().expect("PgBouncer is not installed: install the package `pgbouncer`");
    Program::start("pgbouncer", run_as(Account::of_servers(), path).arg(settings_in(folder)))
}

fn settings_in(folder: &Path) -> PathBuf {
    folder.join("pgbouncer.ini")
}

fn path() -> Option<PathBuf> {
    PLACES.iter().map(|folder| Path::new(folder).join("pgbouncer")).find(|path| path.exists())
}
