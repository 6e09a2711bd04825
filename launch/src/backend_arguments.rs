//! Opening the database and the bus at the start.
//!
//! The programs call this before they serve. Nothing that is printed here contains a password: the
//! help hides the URLs, and the errors of the store and the bus contain none. Only [`migrate`]
//! creates or changes a schema.

use std::sync::Arc;

use clap::Args;
use galley_bus::{BusConfig, SharedBus};
use galley_store::{DEFAULT_CONNECTIONS, MIN_CONNECTIONS, OUTDATED, Store, StoreError};
use tracing::info;

use crate::{Failure, NotYet, Patience, RedisTlsArguments};

/// The database and the bus of a gateway or a worker. The URLs may contain passwords and are never
/// printed.
#[derive(Args, Clone)]
pub struct BackendArguments {
    /// The database: `postgres://USER:PASSWORD@HOST/NAME`
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: String,
    /// The bus: `redis://HOST:PORT`, `rediss://…` with TLS, `redis+unix:///PATH` or
    /// `redis+sentinel://HOST,HOST/SERVICE`; several comma-separated nodes are a Redis Cluster
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the program's in its help")]
    pub redis_tls: RedisTlsArguments,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the program's in its help")]
    pub connections: DatabaseConnections,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the program's in its help")]
    pub namespace: Namespace,
}

/// The share of a process in the connections of a `PostgreSQL`.
#[derive(Args, Clone, Copy, Debug)]
pub struct DatabaseConnections {
    /// Connections to `PostgreSQL` at most, in all: one shows that the process lives, the others
    /// are shared out between work and reads; at least 4
    #[arg(
        long,
        env = "GALLEY_DATABASE_CONNECTIONS",
        value_name = "NUMBER",
        default_value_t = DEFAULT_CONNECTIONS,
        value_parser = clap::value_parser!(u32).range(i64::from(MIN_CONNECTIONS)..=10_000)
    )]
    pub database_connections: u32,
}

/// The part of a shared Redis that one service uses.
#[derive(Args, Clone, Debug)]
pub struct Namespace {
    /// What every key and channel in Redis begins with; gateways and workers of one service share
    /// it
    #[arg(long, env = "GALLEY_NAMESPACE", value_name = "PREFIX", default_value = "galley:v1")]
    pub namespace: String,
}

impl BackendArguments {
    /// Returns the settings of the bus.
    #[must_use]
    pub fn bus(&self) -> BusConfig {
        BusConfig {
            url: Some(self.redis_url.clone()),
            tls: self.redis_tls.clone().into(),
            namespace: self.namespace.namespace.clone(),
            ..BusConfig::default()
        }
    }

    /// Logs the database and the bus, opens both, and waits for the schema, which `galley migrate`
    /// creates.
    ///
    /// # Errors
    /// [`Failure`] if one is not reachable in time, refuses this program or has an invalid URL.
    pub async fn open(
        self,
        auth: Option<&str>,
        patience: &Patience,
    ) -> Result<(Arc<dyn Store>, SharedBus), Failure> {
        let bus = self.bus();
        tell_start(&self.database_url, &bus, auth)?;
        let connections = self.connections.database_connections;
        let store = open_store(&self.database_url, connections, patience).await?;
        schema(store.as_ref(), patience).await?;
        let bus = open_bus(&bus, store.as_ref(), patience).await?;
        Ok((store, bus))
    }
}

/// Logs the version, the addresses of the database and the bus, and, if the program has callers,
/// how they authenticate.
///
/// # Errors
/// [`Failure::Usage`] for an invalid URL.
pub fn tell_start(database_url: &str, bus: &BusConfig, auth: Option<&str>) -> Result<(), Failure> {
    let database = galley_store::place(database_url).map_err(|error| bad_database_url(&error))?;
    let bus = bus.place().map_err(|error| bad_redis(&error))?;
    info!(version = env!("CARGO_PKG_VERSION"), database, bus, auth, "starting");
    Ok(())
}

/// Waits for the database; `connections` is the most of them.
///
/// # Errors
/// [`Failure::Usage`] for an invalid URL, [`Failure::Failed`] if not reachable in time or refused.
pub async fn open_store(
    url: &str,
    connections: u32,
    patience: &Patience,
) -> Result<Arc<dyn Store>, Failure> {
    use galley_store::StoreConnectError::{BadUrl, Busy, NotWhole, Refused, Unreachable};
    let attempt = async || {
        galley_store::connect_with(url, connections).await.map_err(|error| match error {
            BadUrl(_) => NotYet::Never(bad_database_url(&error)),
            Busy(_) | NotWhole(_) | Refused(_) => NotYet::Never(Failure::failed(error)),
            Unreachable(_) => NotYet::again(error),
        })
    };
    patience.wait_for("the database", attempt).await
}

/// Migrates the schema, without a bound on the time of the work. Waits while another program holds
/// the database.
///
/// # Errors
/// [`Failure::Failed`] if the migration fails, or cannot begin in time.
pub async fn migrate(store: &dyn Store, patience: &Patience) -> Result<(), Failure> {
    let attempt = async || {
        let migrated = store.migrate().await;
        migrated.map_err(|error| {
            if error.is_passing() {
                NotYet::again(error)
            } else {
                NotYet::Never(Failure::failed(error))
            }
        })
    };
    patience.wait_for_work("the schema", attempt).await
}

/// Waits until the database has the schema that this program needs.
///
/// # Errors
/// [`Failure::Failed`] if the schema does not appear in time, or if this program may not read it.
pub async fn schema(store: &dyn Store, patience: &Patience) -> Result<(), Failure> {
    let attempt = async || {
        let Err(error) = store.ping().await else { return Ok(()) };
        if matches!(&error, StoreError::Failed(why) if why == OUTDATED) {
            return Err(NotYet::again(OUTDATED));
        }
        Err(if error.is_passing() {
            NotYet::again(error)
        } else {
            NotYet::Never(Failure::failed(error))
        })
    };
    patience.wait_for("the schema", attempt).await
}

/// Waits for the bus. The store must have its schema: the keys of its messages are there.
///
/// # Errors
/// [`Failure::Usage`] for an invalid URL, [`Failure::Failed`] if not reachable in time or refused.
pub async fn open_bus(
    config: &BusConfig,
    store: &dyn Store,
    patience: &Patience,
) -> Result<SharedBus, Failure> {
    let keys = store.cursor_keys().messages().clone();
    try_bus(&BusConfig { keys, ..config.clone() }, patience).await
}

/// Like [`open_bus`], with the keys of the configuration.
pub(crate) async fn try_bus(config: &BusConfig, patience: &Patience) -> Result<SharedBus, Failure> {
    use galley_bus::BusConnectError::{BadTls, BadUrl, Refused, Unreachable};
    let attempt = async || {
        galley_bus::connect(config).await.map_err(|error| match error {
            BadUrl(_) | BadTls(_) => NotYet::Never(bad_redis(&error)),
            Refused(_) => NotYet::Never(Failure::failed(error)),
            Unreachable(_) => NotYet::again(error),
        })
    };
    patience.wait_for("Redis", attempt).await
}

fn bad_database_url(error: &galley_store::StoreConnectError) -> Failure {
    Failure::Usage(format!("invalid value for '--database-url <URL>' or DATABASE_URL: {error}"))
}

fn bad_redis(error: &galley_bus::BusConnectError) -> Failure {
    if let galley_bus::BusConnectError::BadTls(why) = error {
        return Failure::Usage(why.clone());
    }
    Failure::Usage(format!("invalid value for '--redis-url <URL>' or REDIS_URL: {error}"))
}
