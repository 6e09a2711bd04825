//! Refolds stored texts, in the same way for both stores: after an upgrade to a newer folding rule,
//! and after an older program has written.
//!
//! A row is stale if its folding was made by an older rule or from another version of the row. It
//! is read, folded, and written back only while it still has the version that was read, so that no
//! concurrent change is undone. The version stays, because no text changes. Every batch commits
//! separately: if the process is killed, the next run does the remainder.

use galley_protocol::allergy::fold;
use serde::Serialize;

use crate::Result;
use crate::row_values::{Columns, get};

/// The most rows of one batch. A row holds at most 100 entries of 200 characters.
pub(crate) const FOLD_BATCH: i64 = 500;

#[derive(Debug, Serialize)]
pub(crate) struct Folding {
    id: i64,
    version: i32,
    name: String,
    entries: Vec<String>,
}

/// Folds the texts of a row with the columns `id`, `version`, `name` and `entries`.
pub(crate) fn folding(row: &impl Columns) -> Result<Folding> {
    Ok(Folding {
        id: get(row, "id")?,
        version: get(row, "version")?,
        name: fold(&get::<String>(row, "name")?),
        entries: row.texts("entries")?.iter().map(|entry| fold(entry)).collect(),
    })
}

/// Selects stale rows of a table. `$hint` names the index of rows that changed without a new
/// folding, `$rule` is the rule, `$limit` the most rows. Deletion raises the version without making
/// a row stale. Deleted rows with an older rule are refolded nevertheless: otherwise every run
/// would select them again.
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
