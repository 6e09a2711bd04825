//! Refolds stored texts on `SQLite`; see [`crate::refolding`]. One process serves the file, so
//! nobody else writes in the meantime. The statements name their index: otherwise `SQLite` scans
//! all rows to find the stale ones.

use galley_protocol::allergy::FOLD_RULE;

use super::Sqlite;
use super::statements::json;
use crate::Result;
use crate::refolding::{FOLD_BATCH, Folding, folding, stale_rows};

/// Writes the foldings of a table: ?1 holds them, ?2 is the rule.
macro_rules! write_foldings {
    ($table:literal, $folded:literal) => {
        concat!(
            "/* fold_",
            $table,
            " */
             update ",
            $table,
            " set
                 name_folded = fresh.value ->> 'name',
                 ",
            $folded,
            " = fresh.value -> 'entries',
                 folded_rule = ?2,
                 folded_version = fresh.value ->> 'version'
             from json_each(?1) as fresh
             where ",
            $table,
            ".id = fresh.value ->> 'id' and ",
            $table,
            ".version = fresh.value ->> 'version'"
        )
    };
}

impl Sqlite {
    pub(super) async fn fold_again(&self) -> Result<()> {
        for (stale, write) in [
            (
                stale_rows!("heroes", "allergies", " indexed by heroes_to_fold", "?1", "?2"),
                write_foldings!("heroes", "allergies_folded"),
            ),
            (
                stale_rows!("meals", "ingredients", " indexed by meals_to_fold", "?1", "?2"),
                write_foldings!("meals", "ingredients_folded"),
            ),
        ] {
            loop {
                let rows = self.read(sqlx::query(stale).bind(FOLD_RULE).bind(FOLD_BATCH)).await?;
                let foldings = rows.iter().map(folding).collect::<Result<Vec<Folding>, _>>()?;
                if foldings.is_empty() {
                    break;
                }
                self.write(sqlx::query(write).bind(json(&foldings)).bind(FOLD_RULE)).await?;
            }
        }
        Ok(())
    }
}
