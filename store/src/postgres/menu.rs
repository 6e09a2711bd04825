//! Heroes and meals on `PostgreSQL`.

use async_trait::async_trait;
use galley_protocol::allergy::{FOLD_RULE, fold};
use galley_protocol::frame::Page;
use galley_protocol::{Hero, IdempotencyKey, Meal, PageCursor, Version};

use super::Postgres;
use super::rows::{moment, searched};
use super::statements::PostgresQuery;
use crate::codes::active;
use crate::menu_area::{
    Field, Record, RecordFields, Statements, TRIES, changes, contended, digest, known, not_removed,
    unchanged,
};
use crate::row_values::{hero_columns, limit, meal_columns, only};
use crate::searching::SEARCHED;
use crate::{ChangeError, Creation, ListPage, Menu, MenuChanges, MenuPosition, Result};

trait PostgresTable: Record {
    const SQL: Statements;
}

/// Builds the statements. `$one` names a row, `$id` is its column in `orders`, `$read` are the
/// columns to read, and each `$column` is one that only this table has, with its parameter: see
/// [`bind`].
macro_rules! statements {
    (
        $one:literal, $table:literal, $id:literal, $read:expr,
        $($column:literal: $value:literal),+
    ) => {
        Statements {
            create: concat!(
                "/* create_", $one, " */
                 insert into ", $table, " (
                     creation_key, creation_digest, name, name_folded, folded_rule,
                     ", $($column, ", ",)+ "folded_version, creation_time
                 ) values (
                     $1, $2, $3, $4, $5,
                     ", $($value, ", ",)+ "1,
                     case when $1::text is not null then ", moment!(), " end
                 )
                 on conflict (creation_key) where creation_key is not null do nothing
                 returning ", $read
            ),
            of_key: concat!(
                "/* ", $one, "_of_key */
                 select creation_digest = $2 as same, ", $read, "
                 from ", $table, " where creation_key = $1"
            ),
            get: concat!(
                "/* ", $one, " */ select ", $read, " from ", $table, "
                 where id = $1 and deleted_time is null"
            ),
            list: concat!(
                "/* ", $table, " */ select ", $read, ", matches, nth from (
                     select *, row_number() over (order by id) as nth,
                         deleted_time is null
                         and ($2::text is null or strpos(name_folded, $2) > 0) as matches
                     from ", $table, " where id > $1 order by id limit $4
                 ) as ", $table, "
                 where matches or nth = $4
                 order by id limit $3"
            ),
            update: concat!(
                "/* change_", $one, " */
                 update ", $table, " set
                     name = coalesce($3, name),
                     name_folded = coalesce($4, name_folded),
                     -- A stale folding stays stale: this change may leave a part of it.
                     folded_rule = least(folded_rule, $5),
                     ", $($column, " = coalesce(", $value, ", ", $column, "),
                     ",)+ "folded_version = folded_version + 1,
                     version = version + 1,
                     changed = pg_current_xact_id()
                 where id = $1 and deleted_time is null and ($2::int is null or version = $2)
                 returning ", $read
            ),
            // Meals have no index to their orders. Active orders begin at the low watermark, which
            // keeps this scan short.
            remove: concat!(
                "/* remove_", $one, " */
                 update ", $table, " set
                     deleted_time = ", moment!(), ",
                     version = version + 1,
                     changed = pg_current_xact_id()
                 where id = $1 and deleted_time is null and ($2::int is null or version = $2)
                   and not exists (
                       select from orders
                       where ", $id, " = $1 and orders.id >= $3 and ", active!(), "
                   )
                 returning id"
            ),
            // A position is a snapshot: what it does not see has changed since, whenever its
            // transaction began. Materialized, or the primary key would be scanned for the order.
            changed: concat!(
                "/* changed_", $table, " */
                 select pg_current_snapshot()::text as position,
                     coalesce(
                         pg_snapshot_xmax($1::text::pg_snapshot)
                             > pg_snapshot_xmax(pg_current_snapshot()),
                         false
                     ) as lost,
                     ", $table, ".deleted_time is not null as deleted, ", $read, "
                 from (select) as always left join ", $table, " on id = any(array(
                     with found as materialized (
                         select id from ", $table, "
                         where changed >= pg_snapshot_xmin($1::text::pg_snapshot)
                           and not pg_visible_in_snapshot(changed, $1::text::pg_snapshot)
                     )
                     select id from found where id > $2 order by id limit $3
                 ))
                 order by id"
            ),
        }
    };
}

impl PostgresTable for Hero {
    const SQL: Statements = statements!(
        "hero", "heroes", "hero_id", hero_columns!(),
        "allergies": "$6", "allergies_folded": "$7", "planet": "$8"
    );
}

impl PostgresTable for Meal {
    const SQL: Statements = statements!(
        "meal", "meals", "meal_id", meal_columns!(),
        "ingredients": "$6", "ingredients_folded": "$7",
        "price_hundredths": "$8", "origin_planet": "$9", "description": "$10"
    );
}

/// Binds the fields to the parameters from $3 on.
fn bind<'q>(ask: PostgresQuery<'q>, fields: &RecordFields<'q>) -> PostgresQuery<'q> {
    let ask = ask
        .bind(fields.name)
        .bind(fields.name_folded())
        .bind(FOLD_RULE)
        .bind(fields.entries.clone())
        .bind(fields.entries_folded());
    fields.others.iter().fold(ask, |ask, field| match *field {
        Field::Text(text) => ask.bind(text),
        Field::Number(number) => ask.bind(number),
    })
}

#[async_trait]
impl<R: PostgresTable> Menu<R> for Postgres {
    async fn create_once(&self, new: &R::New, key: Option<&IdempotencyKey>) -> Result<Creation<R>> {
        let patch: R::Patch = new.clone().into();
        let fields = R::fields(&patch);
        let (key, digest) = key.map(|key| (key.as_str(), digest(new))).unzip();
        for _ in 0..TRIES {
            let created = self.change(|| {
                bind(sqlx::query(R::SQL.create).bind(key).bind(digest.as_deref()), &fields)
            });
            if let Some(created) = only(&created.await?, R::read)? {
                return Ok(Creation::Created(created));
            }
            let before = self.rows(|| sqlx::query(R::SQL.of_key).bind(key).bind(digest.as_deref()));
            if let Some(known) = only(&before.await?, known)? {
                return Ok(known);
            }
        }
        Err(contended())
    }

    async fn get(&self, id: R::Id) -> Result<Option<R>> {
        let rows = self.read(|| sqlx::query(R::SQL.get).bind(id.into()));
        only(&rows.await?, R::read)
    }

    async fn list(&self, page: &ListPage) -> Result<Page<R>> {
        let rows = self.search(|| {
            sqlx::query(R::SQL.list)
                .bind(page.after.map_or(0, PageCursor::get))
                .bind(page.name_contains.as_deref().map(fold))
                .bind(limit(page.limit + 1))
                .bind(limit(SEARCHED))
        });
        searched(&rows.await?, page.limit, R::read, |one| one.id().into())
    }

    async fn update(
        &self,
        id: R::Id,
        patch: &R::Patch,
        expected: Option<Version>,
    ) -> Result<R, ChangeError> {
        let fields = R::fields(patch);
        let rows = self.change(|| {
            let ask = sqlx::query(R::SQL.update).bind(id.into());
            bind(ask.bind(expected.map(|version| version.0)), &fields)
        });
        match only(&rows.await?, R::read)? {
            Some(changed) => Ok(changed),
            None => Err(unchanged(Menu::<R>::get(self, id).await?.as_ref())),
        }
    }

    async fn remove(&self, id: R::Id, expected: Option<Version>) -> Result<(), ChangeError> {
        let rows = self.change(|| {
            sqlx::query(R::SQL.remove)
                .bind(id.into())
                .bind(expected.map(|version| version.0))
                .bind(self.low_watermark.get().get())
        });
        if !rows.await?.is_empty() {
            return Ok(());
        }
        Err(not_removed(Menu::<R>::get(self, id).await?.as_ref(), expected))
    }

    async fn changed_since(
        &self,
        since: Option<&MenuPosition>,
        after: Option<R::Id>,
        at_most: usize,
    ) -> Result<MenuChanges<R>> {
        let rows = self.read(|| {
            sqlx::query(R::SQL.changed)
                .bind(since.map(|since| since.0.as_str()))
                .bind(after.map_or(0, Into::into))
                .bind(limit(at_most))
        });
        changes(&rows.await?)
    }
}
