//! A private `PgBouncer` for a test that breaks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::TestProgram;
use crate::patience::until;
use crate::port;
use crate::postgres_server::{Account, give, run_as};

/// The folders in which it may be installed.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];

/// `PgBouncer` in front of one `PostgreSQL`; killed when dropped.
#[derive(Debug)]
pub struct Pooler {
    /// The port it listens on.
    pub port: u16,
    /// The process.
    pub program: TestProgram,
    command: Command,
    _folder: TempDir,
}

impl Pooler {
    /// Returns true if `PgBouncer` is installed.
    #[must_use]
    pub fn is_installed() -> bool {
        path().is_some()
    }

    /// Starts `PgBouncer` in session mode in front of the `PostgreSQL` at this port, and waits for
    /// it.
    pub async fn start(server: u16) -> Self {
        let ignored = "ignore_startup_parameters = extra_float_digits,options";
        Self::start_with(server, &format!("pool_mode = session\n{ignored}")).await
    }

    /// Like [`Pooler::start`], with these settings of the section `pgbouncer` instead.
    pub async fn start_with(server: u16, more: &str) -> Self {
        let (port, folder) = (port::free(), tempfile::tempdir().expect("a folder"));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\nmax_client_conn = 200\ndefault_pool_size = 45\n\
             server_login_retry = 1\n{more}\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, settings).expect("the settings can be written");
        give(folder.path(), Account::of_servers());
        let path = path().expect("PgBouncer is not installed: install the package `pgbouncer`");
        let mut command = run_as(Account::of_servers(), path);
        let program = TestProgram::start("pgbouncer", command.arg(file));
        let pooler = Self { port, program, command, _folder: folder };
        pooler.ready().await;
        pooler
    }

    /// Starts it again at the same address, and waits until it listens. It may not serve yet,
    /// because the server behind it may have no free connection.
    pub async fn restart(&mut self) {
        self.program = TestProgram::start("pgbouncer", &mut self.command);
        until("pgbouncer", async || TcpStream::connect(("127.0.0.1", self.port)).await.ok()).await;
    }

    async fn ready(&self) {
        // It refuses some of the parameters with which sqlx begins.
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        let options = PgConnectOptions::from_str(&url).expect("a URL").extra_float_digits(None);
        until("pgbouncer", async || options.connect().await.ok()).await;
    }
}

fn path() -> Option<PathBuf> {
    PLACES.iter().map(|folder| Path::new(folder).join("pgbouncer")).find(|path| path.exists())
}
