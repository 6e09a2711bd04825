//! Refolds stored texts on `PostgreSQL`; see [`crate::refolding`].

use galley_protocol::allergy::FOLD_RULE;
use sqlx::types::Json;

use super::Postgres;
use crate::StoreError;
use crate::refolding::{FOLD_BATCH, Folding, folding, stale_rows};

/// Writes the foldings of a table: $1 holds them, $2 is the rule.
macro_rules! write_foldings {
    ($table:literal, $folded:literal) => {
        concat!(
            "/* fold_", $table, " */
             update ", $table, " set
                 name_folded = fresh.name,
                 ", $folded, " = array(
                     select entry from jsonb_array_elements_text(fresh.entries) with ordinality as listed (entry, place) order by place
                 ),
                 folded_rule = $2,
                 folded_version = fresh.version
             from jsonb_to_recordset($1) as fresh (id bigint, version int, name text, entries jsonb)
             where ", $table, ".id = fresh.id and ", $table, ".version = fresh.version"
        )
    };
}

impl Postgres {
    /// Refolds stale rows: all of them, or at most `batches` batches of each table.
    pub(super) async fn fold_again(&self, batches: Option<usize>) -> Result<(), StoreError> {
        for (stale, write) in [
            (
                stale_rows!("heroes", "allergies", "", "$1", "$2"),
                write_foldings!("heroes", "allergies_folded"),
            ),
            (
                stale_rows!("meals", "ingredients", "", "$1", "$2"),
                write_foldings!("meals", "ingredients_folded"),
            ),
        ] {
            let mut done = 0;
            while batches.is_none_or(|most| done < most) {
                let rows =
                    self.rows(|| sqlx::query(stale).bind(FOLD_RULE).bind(FOLD_BATCH)).await?;
                let foldings = rows.iter().map(folding).collect::<Result<Vec<Folding>, _>>()?;
                if foldings.is_empty() {
                    break;
                }
                self.rows(|| sqlx::query(write).bind(Json(&foldings)).bind(FOLD_RULE)).await?;
                done += 1;
            }
        }
        Ok(())
    }
}
