//! Refuses a pooler that shares sessions, such as `PgBouncer` in transaction or statement mode.
//!
//! An advisory lock belongs to a session of the server. Where sessions are shared, the lock of a
//! worker that died stays with the pooler, and its orders are never adopted.

use sqlx::{Executor as _, PgConnection, Row as _};

/// The connections that speak in turn. A pooler gives the newest idle session to the next one, or
/// each session in turn; either way one of the two meets a session of the other, or two of them.
const TURNS: [usize; 8] = [0, 1, 0, 0, 1, 1, 0, 1];

/// Returns true if one of these open connections does not keep a session to itself.
pub(super) async fn is_shared(
    one: &mut PgConnection,
    other: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let mut met: [Option<i32>; 2] = [None; 2];
    for turn in TURNS {
        let connection = if turn == 0 { &mut *one } else { &mut *other };
        // Not prepared: another session would not know the statement.
        let row = connection.fetch_one(sqlx::raw_sql("select pg_backend_pid() as pid")).await?;
        let pid: i32 = row.try_get("pid")?;
        if *met[turn].get_or_insert(pid) != pid || met[1 - turn] == Some(pid) {
            return Ok(true);
        }
    }
    Ok(false)
}
