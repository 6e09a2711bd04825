//! Reading rows of `PostgreSQL`, and the expressions that only its statements use.

use galley_protocol::Timestamp;
use galley_protocol::frame::Page;
use sqlx::Row;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;

use crate::change_pages::ChangedRow;
use crate::row_values::{Columns, Value, get, limit, order, wrong};
use crate::searching::{SEARCHED, page};
use crate::{Result, StoreError};

/// The present time by the database's clock, in whole milliseconds.
macro_rules! moment {
    () => {
        "date_trunc('milliseconds', clock_timestamp())"
    };
}
pub(super) use moment;

/// The column `due_in` that [`super::claim::claimed`] reads: milliseconds until the order is due.
/// It never exceeds the order's preparation time, even if the clock was set back.
macro_rules! due_in {
    () => {
        "greatest(0, (extract(epoch from
             least(orders.due_at - clock_timestamp(), orders.due_at - orders.started_time)) * 1000)::bigint) as due_in"
    };
}
pub(super) use due_in;

/// The columns of a cursor: the time, the position in the order of commits, and the epoch whose key
/// signs it. Every transaction below the position has ended, and is visible to this statement and
/// to all later ones.
macro_rules! clock {
    () => {
        "date_trunc('milliseconds', now()) as moment, \
         pg_snapshot_xmin(pg_current_snapshot())::text::bigint as position, \
         (select epoch from cursor_key) as epoch"
    };
}
pub(super) use clock;

/// A condition on `orders`: a transaction at or above this position wrote the row. `xmin` holds
/// only the lower 32 bits of a transaction, so the comparison is cyclic. Changes since a cursor are
/// fewer than 2^31 transactions away.
macro_rules! changed_since {
    ($position:expr) => {
        concat!("((orders.xmin::text::bigint - ", $position, ") & 4294967295) < 2147483648")
    };
}
pub(super) use changed_since;

impl Columns for PgRow {
    fn value<T: Value>(&self, column: &str) -> Result<T, sqlx::Error> {
        self.try_get(column)
    }
    fn optional_time(&self, column: &str) -> Result<Option<Timestamp>> {
        get::<Option<OffsetDateTime>>(self, column).map(|time| time.map(Timestamp::from))
    }
    fn texts(&self, column: &str) -> Result<Vec<String>> {
        self.try_get(column).map_err(|error| wrong(column, &error))
    }
}

/// The first row of a statement that always returns one.
pub(super) fn first(rows: &[PgRow]) -> Result<&PgRow> {
    rows.first().ok_or_else(|| StoreError::Failed("no time of the database".to_owned()))
}

/// The index of the request that a row belongs to, from the ordinality `n`, which begins at 1.
pub(super) fn index(row: &PgRow) -> Result<usize> {
    usize::try_from(get::<i64>(row, "n")? - 1)
        .map_err(|_| StoreError::Failed("the number of a request cannot be".to_owned()))
}

/// Makes a page from the rows of a search: those that match, and the last one that was looked at.
pub(super) fn searched<T>(
    rows: &[PgRow],
    at_most: usize,
    read: impl Fn(&PgRow) -> Result<T>,
    id: impl Fn(&T) -> i64,
) -> Result<Page<T>> {
    let (mut matching, mut searched_to) = (Vec::new(), None);
    for row in rows {
        if get(row, "matches")? {
            matching.push(read(row)?);
        }
        if get::<i64>(row, "nth")? == limit(SEARCHED) {
            searched_to = Some(get(row, "id")?);
        }
    }
    Ok(page(matching, at_most, id, searched_to))
}

/// Reads the verdicts from rows, at most one for each request.
pub(super) fn verdicts<V: Clone>(
    rows: &[PgRow],
    requests: usize,
    verdict: impl Fn(&PgRow) -> Result<V>,
) -> Result<Vec<Option<V>>> {
    let mut verdicts = vec![None; requests];
    for row in rows {
        verdicts[index(row)?] = Some(verdict(row)?);
    }
    Ok(verdicts)
}

/// Reads a change; `None` for the empty row of a request without changes.
pub(super) fn changed(row: &PgRow) -> Result<Option<ChangedRow>> {
    match get::<Option<bool>>(row, "deleted")? {
        Some(deleted) => Ok(Some(ChangedRow::of(order(row)?, deleted))),
        None => Ok(None),
    }
}

pub(super) fn by_request(rows: &[PgRow], requests: usize) -> Result<Vec<Vec<ChangedRow>>> {
    let mut read = vec![Vec::new(); requests];
    for row in rows {
        if let Some(read) = read.get_mut(index(row)?) {
            read.extend(changed(row)?);
        }
    }
    Ok(read)
}
