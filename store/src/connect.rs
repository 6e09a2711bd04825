//! Opens the store that a URL names. No error tells the URL's password.

use std::sync::Arc;

use thiserror::Error;

use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::{Store, StoreError};

/// Why a store was not opened.
#[derive(Clone, Debug, Error)]
pub enum ConnectError {
    /// The URL cannot be read.
    #[error("bad database URL: {0}")]
    BadUrl(String),
    /// Another process serves this file.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The file is only a part of a database.
    #[error("the database is not whole: {0}")]
    NotWhole(String),
    /// The database is away, or does not let us in.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

/// Opens the store that `url` names: `postgres://…`, or `sqlite://` and the path of a file, which is made when it is not
/// there. The schema stays as it is; see [`Store::migrate`].
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, ConnectError> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(Postgres::connect(url).await?)),
        Some(("sqlite", _)) => Ok(Arc::new(Sqlite::connect(url).await?)),
        _ => Err(ConnectError::BadUrl("must begin with postgres:// or sqlite://".to_owned())),
    }
}
