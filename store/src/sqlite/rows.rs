//! Reading rows of `SQLite`: times are numbers, lists are JSON.

use galley_protocol::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::StoreError;
use crate::change_pages::ChangedRow;
use crate::row_values::{Columns, Value, get, order, wrong};

impl Columns for SqliteRow {
    fn value<T: Value>(&self, column: &str) -> Result<T, sqlx::Error> {
        self.try_get(column)
    }
    fn optional_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        let time = get::<Option<i64>>(self, column)?.map(Timestamp::from_millis).transpose();
        time.map_err(|error| wrong(column, &error))
    }
    fn texts(&self, column: &str) -> Result<Vec<String>, StoreError> {
        serde_json::from_str(&get::<String>(self, column)?).map_err(|error| wrong(column, &error))
    }
}

pub(super) fn changed(row: &SqliteRow) -> Result<ChangedRow, StoreError> {
    Ok(ChangedRow::of(order(row)?, get(row, "deleted")?))
}
