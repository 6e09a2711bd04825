//! Opens the store that a URL names. No error contains the URL's password.

use std::sync::Arc;

use thiserror::Error;

use crate::metered_store::MeteredStore;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::{Store, StoreError};

/// The reason why a store was not opened.
#[derive(Clone, Debug, Error)]
pub enum StoreConnectError {
    /// The URL cannot be read.
    #[error("bad database URL: {0}")]
    BadUrl(String),
    /// Another process serves this file.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The file is an incomplete database.
    #[error("the database is not whole: {0}")]
    NotWhole(String),
    /// The database refuses this process until someone changes something.
    #[error("{0}")]
    Refused(String),
    /// The database is unreachable; a later attempt may succeed.
    #[error("{0}")]
    Unreachable(String),
}

impl From<StoreError> for StoreConnectError {
    fn from(error: StoreError) -> Self {
        if error.is_passing() {
            Self::Unreachable(error.to_string())
        } else {
            Self::Refused(error.to_string())
        }
    }
}

/// The default of the connections of one process to `PostgreSQL`, in all, and the fewest.
pub const DEFAULT_CONNECTIONS: u32 = 8;
/// One connection shows that the process lives, one reads, and two write.
pub const MIN_CONNECTIONS: u32 = 4;

/// Opens the store that `url` names, like [`connect_with`] with [`DEFAULT_CONNECTIONS`].
///
/// # Errors
/// [`StoreConnectError`].
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, StoreConnectError> {
    connect_with(url, DEFAULT_CONNECTIONS).await
}

/// Opens the store that `url` names: `postgres://…`, with at most so many connections, or
/// `sqlite://` and the path of a file, which is created if it does not exist. The schema is not
/// changed; see [`migrate`](crate::Upkeep::migrate).
///
/// # Errors
/// [`StoreConnectError`].
pub async fn connect_with(
    url: &str,
    connections: u32,
) -> Result<Arc<dyn Store>, StoreConnectError> {
    match kind(url)? {
        DatabaseKind::Postgres => {
            Ok(Arc::new(MeteredStore(Postgres::connect(url, connections).await?)))
        }
        DatabaseKind::Sqlite => Ok(Arc::new(MeteredStore(Sqlite::connect(url).await?))),
    }
}

/// The readable address of the database that `url` names, without user and password.
///
/// # Errors
/// [`StoreConnectError::BadUrl`]
pub fn place(url: &str) -> Result<String, StoreConnectError> {
    match kind(url)? {
        DatabaseKind::Postgres => Postgres::place(url),
        DatabaseKind::Sqlite => Sqlite::place(url),
    }
}

enum DatabaseKind {
    Postgres,
    Sqlite,
}

fn kind(url: &str) -> Result<DatabaseKind, StoreConnectError> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => Ok(DatabaseKind::Postgres),
        Some(("sqlite", _)) => Ok(DatabaseKind::Sqlite),
        _ => Err(StoreConnectError::BadUrl("must begin with postgres:// or sqlite://".to_owned())),
    }
}
