//! Folding again what is stored, alike in both stores: after an upgrade with a newer rule, and
//! after a program of an older version wrote.
//!
//! A row is stale when its folding was made by an older rule, or from the texts of another version
//! of the row. It is read, folded, and written back only while it has the version that was read, so
//! that a change in between is not undone. The version stays: no text changes. A batch commits by
//! itself, so that whoever is killed leaves the remainder to the next one.

use galley_protocol::allergy::fold;
use serde::Serialize;

use crate::StoreError;
use crate::row_values::{Columns, get};

/// The rows of one batch. A row holds at most 100 entries of 200 characters.
pub(crate) const FOLD_BATCH: i64 = 500;

/// A row's new folding.
#[derive(Debug, Serialize)]
pub(crate) struct Folding {
    id: i64,
    version: i32,
    name: String,
    entries: Vec<String>,
}

/// Folds the texts of a row with the columns `id`, `version`, `name` and `entries`.
pub(crate) fn folding(row: &impl Columns) -> Result<Folding, StoreError> {
    Ok(Folding {
        id: get(row, "id")?,
        version: get(row, "version")?,
        name: fold(&get::<String>(row, "name")?),
        entries: row.texts("entries")?.iter().map(|entry| fold(entry)).collect(),
    })
}

/// Finds stale rows of a table. `$hint` leads to the index of the rows that changed without a new
/// folding; `$rule` is the rule, `$limit` the most rows. Deleting raises the version as well, which
/// makes no row stale; one that an older rule folded is folded all the same, or it would be read
/// each time.
macro_rules! stale_rows {
    ($table:literal, $entries:literal, $hint:literal, $rule:literal, $limit:literal) => {
        concat!(
            "/* stale_",
            $table,
            " */
             select id, version, name, ",
            $entries,
            " as entries from ",
            $table,
            "
             where id in (
                 select id from ",
            $table,
            $hint,
            " where folded_version <> version and deleted_time is null
                 union all
                 select id from ",
            $table,
            " where folded_rule < ",
            $rule,
            "
                 limit ",
            $limit,
            "
             )"
        )
    };
}
pub(crate) use stale_rows;
