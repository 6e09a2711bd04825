//! Who lives and who hears, of all processes on this database, and the cursor of that moment.

use galley_protocol::{OrderId, PublisherId};

use super::Postgres;
use super::changes::cursor;
use super::liveness::{HEARING, PUBLISHER};
use crate::rows::{get, parse};
use crate::{Census, StoreError};

impl Postgres {
    /// The cursor is of the statement's snapshot, which is older than its look at the locks: whoever is not seen to live yet
    /// commits nothing before the cursor.
    pub(super) async fn count_living(&self, own: PublisherId, hears: bool) -> Result<Census, StoreError> {
        self.liveness.want((PUBLISHER, own.get()), true);
        self.liveness.want((HEARING, own.get()), hears);
        let rows = self.alive(|| {
            sqlx::query(
                "/* census */
                 select date_trunc('milliseconds', now()) as moment, watermark.floor,
                     pg_snapshot_xmin(pg_current_snapshot())::text::bigint as position,
                     pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax,
                     lock.class, lock.number
                 from watermark left join (
                     select classid::bigint as class, objid::bigint as number from pg_locks
                     where locktype = 'advisory' and granted and objsubid = 2 and classid::bigint in ($1, $2)
                       and database = (select oid from pg_database where datname = current_database())
                 ) as lock on true",
            )
            .bind(i64::from(PUBLISHER))
            .bind(i64::from(HEARING))
        });
        let rows = rows.await?;
        let first = rows.first().ok_or_else(|| StoreError::Failed("no time of the database".to_owned()))?;
        let floor = parse::<i64, OrderId>(first, "floor")?;
        self.floor.set(floor.get());
        self.settled.read(floor, get(first, "position")?, get(first, "xmax")?);
        let safe = cursor(first, self.settled.get())?;
        let mut census = Census { living: [own].into(), hearing: hears.then_some(own).into_iter().collect(), safe };
        for row in &rows {
            let (class, number) = (get::<Option<i64>>(row, "class")?, get::<Option<i64>>(row, "number")?);
            let publisher = number.and_then(|number| PublisherId::new(i32::try_from(number).ok()?).ok());
            match class {
                Some(class) if class == i64::from(PUBLISHER) => census.living.extend(publisher),
                Some(_) => census.hearing.extend(publisher),
                None => {}
            }
        }
        Ok(census)
    }
}
