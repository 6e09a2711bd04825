//! The parts of migrating that both stores share.

use sqlx::migrate::{MigrateError, Migrator};

use crate::StoreError;

/// The migrations, tolerating a schema that is newer than this program.
pub(crate) fn tolerant(migrations: &'static Migrator) -> Migrator {
    let mut tolerant = Migrator::with_migrations(migrations.iter().cloned().collect());
    tolerant.set_ignore_missing(true);
    tolerant
}

/// The least version that the schema must have.
pub(crate) fn newest(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The text of [`StoreError::Failed`] for a schema that is older than this program. Someone may
/// update the schema at any moment.
pub const OUTDATED: &str = "the schema is not up to date: run `galley migrate`";

pub(crate) fn outdated() -> StoreError {
    StoreError::Failed(OUTDATED.to_owned())
}

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
