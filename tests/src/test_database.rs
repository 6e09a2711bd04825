//! Fresh databases.
//!
//! On the shared `PostgreSQL` a template is migrated once per run by `galley migrate`, and copied
//! for each test. An advisory lock guards making and copying it, because two runs may use it at
//! once. On any other server each database is migrated itself. A database is dropped with its
//! [`TestDatabase`], even if clients are still connected.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::patience::within;
use crate::program::{command, path_of};

const TEMPLATE: &str = "galley_test_template";
/// Takes the lock of the template; its number is arbitrary, but the same in every run.
const LOCK: &str = "select pg_advisory_lock(7316402)";

static TEMPLATE_MADE: OnceCell<()> = OnceCell::const_new();

/// A database, which is dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its URL.
    pub url: String,
    admin: String,
    name: String,
}

/// The URL of the `PostgreSQL` that all tests share, for a user who may create databases.
#[must_use]
pub fn shared_postgres() -> String {
    std::env::var("GALLEY_TEST_POSTGRES")
        .expect("GALLEY_TEST_POSTGRES must name a PostgreSQL in which databases may be created, for example postgres://postgres@127.0.0.1/postgres")
}

/// A folder for a `SQLite` database, and the URL of the database in it.
#[must_use]
pub fn sqlite() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("galley.db").display());
    (folder, url)
}

impl TestDatabase {
    /// A copy of the template on the shared `PostgreSQL`.
    pub async fn fresh() -> Self {
        let admin = shared_postgres();
        TEMPLATE_MADE.get_or_init(|| make_template(&admin)).await;
        let database = Self::named(&admin);
        execute(&admin, &[LOCK, &format!("create database {} template {TEMPLATE}", database.name)])
            .await;
        database
    }

    /// A migrated database on this server.
    pub async fn on(admin: &str) -> Self {
        let database = Self::bare(admin).await;
        migrate(&database.url).await;
        database
    }

    /// A database without a schema on the shared `PostgreSQL`.
    pub async fn empty() -> Self {
        Self::bare(&shared_postgres()).await
    }

    async fn bare(admin: &str) -> Self {
        let database = Self::named(admin);
        execute(admin, &[&format!("create database {}", database.name)]).await;
        database
    }

    fn named(admin: &str) -> Self {
        let name = format!("galley_test_{:016x}", rand::random::<u64>());
        Self { url: url_of(admin, &name), admin: admin.to_owned(), name }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let drop_it = format!("drop database if exists {} with (force)", self.name);
        let admin = self.admin.clone();
        // The runtime of the test may be shutting down, so this thread has its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(execute(&admin, &[&drop_it]));
        });
        if dropped.join().is_err() {
            eprintln!("the database {} stays behind", self.name);
        }
    }
}

async fn make_template(admin: &str) {
    let drop_it = format!("drop database if exists {TEMPLATE} with (force)");
    let mut connection = connect(admin).await;
    for statement in [LOCK, &drop_it, &format!("create database {TEMPLATE}")] {
        run(&mut connection, statement).await;
    }
    migrate(&url_of(admin, TEMPLATE)).await;
    connection.close().await.expect("the lock is given back");
}

async fn migrate(url: &str) {
    let mut migrate = tokio::process::Command::from(command(path_of("galley")));
    let output =
        within("galley migrate", migrate.args(["migrate", "--database-url", url]).output()).await;
    let output = output.expect("galley can be run");
    assert!(output.status.success(), "galley migrate: {}", String::from_utf8_lossy(&output.stderr));
}

async fn execute(admin: &str, statements: &[&str]) {
    let mut connection = connect(admin).await;
    for statement in statements {
        run(&mut connection, statement).await;
    }
    connection.close().await.expect("the connection can be closed");
}

async fn connect(url: &str) -> PgConnection {
    let connected = within("a connection to PostgreSQL", PgConnection::connect(url)).await;
    connected.unwrap_or_else(|error| panic!("cannot connect to PostgreSQL: {error}"))
}

async fn run(connection: &mut PgConnection, statement: &str) {
    let done = within(statement, sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection)).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// The URL of another database of the same server.
fn url_of(admin: &str, name: &str) -> String {
    let (server, _) = admin.rsplit_once('/').expect("the URL of a database ends with its name");
    format!("{server}/{name}")
}
