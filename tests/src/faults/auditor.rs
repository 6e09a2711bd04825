//! Polls the database, and notes the changed orders.
//!
//! It reads without a proxy, so that it sees a change as soon as everybody can. While the database
//! is unreachable or locked it sees nothing; the changes that it sees afterwards are newer than its
//! last successful look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::record::{RecordedEvent, Recorder};

const LOOK: Duration = Duration::from_millis(250);
/// The longest time for an answer of the database.
const PATIENCE: Duration = Duration::from_secs(5);
const NEWEST: &str = "select id, version from orders";

/// The changes that were seen so far.
#[derive(Clone, Debug, Default)]
pub struct AuditedChanges(Arc<Mutex<HashMap<i64, AuditedChange>>>);

/// The newest change of an order.
#[derive(Clone, Copy, Debug)]
pub struct AuditedChange {
    /// The new version.
    pub version: i64,
    /// A moment before the change, in microseconds since the record began.
    pub since_us: u64,
}

impl AuditedChanges {
    /// The newest change of each order.
    pub fn newest(&self) -> MutexGuard<'_, HashMap<i64, AuditedChange>> {
        self.0.lock().expect("nothing panics while it takes in a change")
    }
}

/// Polls the database at this URL. Never ends by itself.
pub async fn audit(database: String, recorder: Recorder, changes: AuditedChanges) {
    let mut connection = None;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut since_us = recorder.now_us();
    loop {
        looks.tick().await;
        let now_us = recorder.now_us();
        let read = async {
            if database.starts_with("sqlite:") {
                return read_sqlite(&database).await;
            }
            let connection = match &mut connection {
                Some(connection) => connection,
                none => none.insert(PgConnection::connect(&database).await?),
            };
            sqlx::query_as(NEWEST).fetch_all(connection).await
        };
        let Ok(Ok(orders)) = timeout(PATIENCE, read).await else {
            // The connection may still receive an old answer, so it is not reused.
            connection = None;
            continue;
        };
        let mut newest = changes.newest();
        let is_new = |(order, version): &(i64, i64)| {
            newest.get(order).is_none_or(|known| known.version < *version)
        };
        let orders: Vec<(i64, i64)> = orders.into_iter().filter(is_new).collect();
        newest.extend(
            orders
                .iter()
                .map(|(order, version)| (*order, AuditedChange { version: *version, since_us })),
        );
        drop(newest);
        if !orders.is_empty() {
            recorder.note(RecordedEvent::Changed { since_us, orders });
        }
        since_us = now_us;
    }
}

/// Reads without write access: a reader that closes last must not clean up after a killed program.
async fn read_sqlite(url: &str) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    let mut connection = url.parse::<SqliteConnectOptions>()?.read_only(true).connect().await?;
    let rows = sqlx::query_as(NEWEST).fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(rows)
}
