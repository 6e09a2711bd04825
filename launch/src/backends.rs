//! Opening the database and the bus at the start.
//!
//! Called by the programs, before they serve. Guarantees that nothing printed here holds a password: the URLs are hidden in
//! the help, and an error of the store or the bus names none. Must never create or change a schema.

use std::sync::Arc;

use clap::Args;
use galley_bus::{BusConfig, SharedBus};
use galley_store::Store;

use crate::{Failure, NotYet, Patience};

/// What a gateway and a worker depend on. The URLs may hold passwords: they are never printed.
#[derive(Args, Clone)]
pub struct Backends {
    /// The database: `postgres://USER:PASSWORD@HOST/NAME`
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: String,
    /// The bus: `redis://HOST:PORT` or `rediss://…`; several comma-separated nodes are a Redis Cluster
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the program's in its help")]
    pub namespace: Namespace,
}

/// Where on a Redis that others use too.
#[derive(Args, Clone, Debug)]
pub struct Namespace {
    /// What every key and channel in Redis begins with; gateways and workers of one service share it
    #[arg(long, env = "GALLEY_NAMESPACE", value_name = "PREFIX", default_value = "galley:v1")]
    pub namespace: String,
}

impl Backends {
    /// Opens both and waits for the schema, which `galley migrate` brings.
    ///
    /// # Errors
    /// [`Failure`] when one of them is not there in time, or its URL cannot be read.
    pub async fn open(self, patience: &Patience) -> Result<(Arc<dyn Store>, SharedBus), Failure> {
        let store = open_store(&self.database_url, patience).await?;
        schema(store.as_ref(), patience).await?;
        let bus = BusConfig { url: Some(self.redis_url), namespace: self.namespace.namespace };
        Ok((store, open_bus(&bus, patience).await?))
    }
}

/// Waits for the database.
///
/// # Errors
/// [`Failure::Usage`] for a URL that cannot be read, [`Failure::Failed`] when another process holds the database or it is
/// not there in time.
pub async fn open_store(url: &str, patience: &Patience) -> Result<Arc<dyn Store>, Failure> {
    use galley_store::ConnectError::{BadUrl, Busy, NotWhole, Unavailable};
    let attempt = async || {
        galley_store::connect(url).await.map_err(|error| match error {
            BadUrl { .. } => NotYet::Never(Failure::Usage(format!("invalid value for '--database-url <URL>': {error}"))),
            Busy { .. } | NotWhole { .. } => NotYet::Never(Failure::failed(error)),
            Unavailable { .. } => NotYet::again(error),
        })
    };
    patience.wait_for("the database", attempt).await
}

/// Brings the schema, which takes as long as it takes; waits while another program holds the database.
///
/// # Errors
/// [`Failure::Failed`] when it cannot be brought, or not in time.
pub async fn migrate(store: &dyn Store, patience: &Patience) -> Result<(), Failure> {
    let attempt = async || {
        let migrated = store.migrate().await;
        migrated.map_err(|error| if error.is_passing() { NotYet::again(error) } else { NotYet::Never(Failure::failed(error)) })
    };
    patience.wait_for_work("the schema", attempt).await
}

/// Waits until the database has the schema that this program needs.
///
/// # Errors
/// [`Failure::Failed`] when it has not in time.
pub async fn schema(store: &dyn Store, patience: &Patience) -> Result<(), Failure> {
    let attempt = async || store.ping().await.map_err(NotYet::again);
    patience.wait_for("the schema", attempt).await
}

/// Waits for the bus.
///
/// # Errors
/// [`Failure::Usage`] for a URL that cannot be read, [`Failure::Failed`] when it is not there in time.
pub async fn open_bus(config: &BusConfig, patience: &Patience) -> Result<SharedBus, Failure> {
    use galley_bus::ConnectError::{BadUrl, Unavailable};
    let attempt = async || {
        galley_bus::connect(config).await.map_err(|error| match error {
            BadUrl { .. } => NotYet::Never(Failure::Usage(format!("invalid value for '--redis-url <URL>': {error}"))),
            Unavailable { .. } => NotYet::again(error),
        })
    };
    patience.wait_for("the bus", attempt).await
}
