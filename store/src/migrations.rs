//! What both stores do with their migrations.

use sqlx::migrate::{MigrateError, Migrator};

use crate::StoreError;

/// The migrations, for a schema that may be newer than this program.
pub(crate) fn tolerant(migrations: &'static Migrator) -> Migrator {
    let mut tolerant = Migrator::with_migrations(migrations.iter().cloned().collect());
    tolerant.set_ignore_missing(true);
    tolerant
}

/// The version that the schema must have at least.
pub(crate) fn newest(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The text of [`StoreError::Failed`] for a schema that is older than this program, and may be
/// brought up to date at any moment.
pub const OUTDATED: &str = "the schema is not up to date: run `galley migrate`";

pub(crate) fn outdated() -> StoreError {
    StoreError::Failed(OUTDATED.to_owned())
}

/// The error for the caller; `refusal` judges what the database said.
pub(crate) fn failure(
    error: &MigrateError,
    refusal: impl Fn(&sqlx::Error) -> StoreError,
) -> StoreError {
    if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) = error {
        refusal(error)
    } else {
        StoreError::Failed(error.to_string())
    }
}
