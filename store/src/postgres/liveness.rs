//! How others see that this process lives: a session advisory lock per incarnation, on a connection that does nothing else.
//! The server frees the lock as soon as the connection is gone, milliseconds after a kill -9; after a loss of power its TCP
//! keepalive notices within 8 s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use galley_protocol::IncarnationId;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::Postgres;
use super::session::{refusal, silence};
use crate::StoreError;
use crate::requests::Incarnations;
use crate::rows::{get, parse};

/// The first half of the name of every lock: "GALY". The second half is the incarnation.
pub(super) const LOCK_CLASS: i32 = 0x4741_4c59;
/// How long after an upset nobody is judged dead: living processes take their locks again meanwhile.
pub(super) const CALM: Duration = Duration::from_secs(3);
/// How long the connection may be silent, and how long a new one may take.
const PROBE: Duration = Duration::from_secs(1);

/// The incarnations of this process: one per start of a worker, so that the map needs no other bound.
#[derive(Default)]
pub(super) struct Liveness(Mutex<HashMap<IncarnationId, Arc<Incarnation>>>);

#[derive(Default)]
struct Incarnation {
    connection: tokio::sync::Mutex<Option<PgConnection>>,
    /// When the lock was lost and taken again.
    retaken: Mutex<Option<Instant>>,
}

impl Liveness {
    fn get(&self, id: IncarnationId) -> Option<Arc<Incarnation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn insert(&self, id: IncarnationId, connection: PgConnection) {
        let incarnation = Incarnation { connection: tokio::sync::Mutex::new(Some(connection)), ..Incarnation::default() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(incarnation));
    }

    /// Whether the lock of this incarnation was not lost lately, and so the locks of others neither.
    pub(super) fn is_calm(&self, id: IncarnationId) -> bool {
        self.get(id).is_some_and(|incarnation| {
            incarnation.retaken.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|time| time.elapsed() >= CALM)
        })
    }
}

impl Postgres {
    /// The lock is taken before anybody can see the number.
    pub(super) async fn begin_incarnation(&self) -> Result<IncarnationId, StoreError> {
        let rows = self.rows(|| sqlx::query("/* enlist */ select nextval('incarnations') as id")).await?;
        let row = rows.first().ok_or_else(|| StoreError::Failed("no number for an incarnation".to_owned()))?;
        let id: IncarnationId = parse::<i64, _>(row, "id")?;
        let connection = hold(&self.options, id).await.inspect_err(|error| self.outage.note(error))?;
        self.liveness.insert(id, connection);
        Ok(id)
    }

    /// The newest is read before the locks: whoever began by then and holds none may be dead.
    pub(super) async fn known_incarnations(&self) -> Result<Incarnations, StoreError> {
        let rows = self.rows(|| {
            sqlx::query(
                "/* incarnations */
                 with newest as materialized (select last_value::bigint as id from incarnations where is_called),
                 living as (
                     select objid::bigint as id from pg_locks
                     where locktype = 'advisory' and granted and objsubid = 2 and classid::bigint = $1
                       and database = (select oid from pg_database where datname = current_database())
                 )
                 select newest.id as newest, living.id as living from newest left join living on true",
            )
            .bind(i64::from(LOCK_CLASS))
        });
        let mut known = Incarnations::default();
        for row in &rows.await? {
            known.newest = Some(parse::<i64, _>(row, "newest")?);
            known.living.extend(get::<Option<i64>>(row, "living")?.and_then(|id| IncarnationId::new(id).ok()));
        }
        Ok(known)
    }

    pub(super) async fn hold_incarnation(&self, id: IncarnationId) -> Result<(), StoreError> {
        let unknown = || StoreError::Failed("this process did not enlist that incarnation".to_owned());
        let incarnation = self.liveness.get(id).ok_or_else(unknown)?;
        let mut connection = incarnation.connection.lock().await;
        if let Some(held) = connection.as_mut()
            && let Ok(Ok(())) = timeout(PROBE, held.ping()).await
        {
            return Ok(());
        }
        *connection = None;
        *connection = Some(hold(&self.options, id).await.inspect_err(|error| self.outage.note(error))?);
        warn!(%id, "the connection that shows others this worker alive was lost, and is back");
        *incarnation.retaken.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }
}

/// A lock that the server still sees on the connection lost is not waited for: the next call tries again.
async fn hold(options: &PgConnectOptions, id: IncarnationId) -> Result<PgConnection, StoreError> {
    let take = async {
        let mut connection = PgConnection::connect_with(options).await?;
        let taken: bool = sqlx::query_scalar("/* hold_incarnation */ select pg_try_advisory_lock($1, $2::int)")
            .bind(LOCK_CLASS)
            .bind(id.get())
            .fetch_one(&mut connection)
            .await?;
        Ok((connection, taken))
    };
    match timeout(PROBE, take).await.unwrap_or_else(|_| Err(silence())) {
        Ok((connection, true)) => Ok(connection),
        Ok((_, false)) => Err(StoreError::Unavailable("the server still sees the connection that was lost".to_owned())),
        Err(error) => Err(refusal(&error)),
    }
}
