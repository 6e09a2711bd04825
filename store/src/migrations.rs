//! What both stores do with their migrations.

use sqlx::migrate::Migrator;

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

pub(crate) fn outdated() -> StoreError {
    StoreError::Failed("the schema is not up to date: run `galley migrate`".to_owned())
}
