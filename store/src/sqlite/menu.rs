//! Heroes and meals on `SQLite`.

use async_trait::async_trait;
use galley_protocol::allergy::{FOLD_RULE, fold};
use galley_protocol::frame::Page;
use galley_protocol::{Hero, IdempotencyKey, Meal, PageCursor, Version};

use super::Sqlite;
use super::statements::{SqliteQuery, json, now};
use crate::codes::active;
use crate::menu_area::{
    Field, Record, RecordFields, Statements, TRIES, changes, contended, digest, known, not_removed,
    unchanged,
};
use crate::row_values::{hero_columns, limit, meal_columns, only};
use crate::searching::{SEARCHED, page};
use crate::{ChangeError, Creation, ListPage, Menu, MenuChanges, MenuPosition, Result};

/// The number of the last change of a table.
macro_rules! last_change {
    ($table:literal) => {
        concat!("(select coalesce(max(changed), 0) from ", $table, ")")
    };
}

trait SqliteTable: Record {
    const SQL: Statements;
    /// Selects the last row that a page may look at, with the parameters of a list.
    const SEARCHED_TO: &'static str;
}

/// Builds the statements. `$one` names a row, `$id` is its column in `orders`, `$read` are the
/// columns to read, and each `$column` is one that only this table has, with its parameter: see
/// [`bind`]. The parameter `$time` follows these.
macro_rules! statements {
    (
        $one:literal, $table:literal, $id:literal, $read:expr,
        $($column:literal: $value:literal),+; $time:literal
    ) => {
        Statements {
            create: concat!(
                "/* create_", $one, " */
                 insert into ", $table, " (
                     creation_key, creation_digest, name, name_folded, folded_rule,
                     ", $($column, ", ",)+ "folded_version, creation_time, changed
                 ) values (
                     ?1, ?2, ?3, ?4, ?5,
                     ", $($value, ", ",)+ "1, case when ?1 is not null then ", $time, " end,
                     ", last_change!($table), " + 1
                 )
                 on conflict (creation_key) where creation_key is not null do nothing
                 returning ", $read
            ),
            of_key: concat!(
                "/* ", $one, "_of_key */
                 select creation_digest = ?2 as same, ", $read, "
                 from ", $table, " where creation_key = ?1"
            ),
            get: concat!(
                "/* ", $one, " */ select ", $read, " from ", $table, "
                 where id = ?1 and deleted_time is null"
            ),
            list: concat!(
                "/* ", $table, " */ select ", $read, "
                 from (select * from ", $table, " where id > ?1 order by id limit ?4) as ", $table, "
                 where deleted_time is null and (?2 is null or instr(name_folded, ?2) > 0)
                 limit ?3"
            ),
            update: concat!(
                "/* change_", $one, " */
                 update ", $table, " set
                     name = coalesce(?3, name),
                     name_folded = coalesce(?4, name_folded),
                     -- A stale folding stays stale: this change may leave a part of it.
                     folded_rule = min(folded_rule, ?5),
                     ", $($column, " = coalesce(", $value, ", ", $column, "),
                     ",)+ "folded_version = folded_version + 1,
                     version = version + 1,
                     changed = ", last_change!($table), " + 1
                 where id = ?1 and deleted_time is null and (?2 is null or version = ?2)
                 returning ", $read
            ),
            // Meals have no index to their orders. Active orders begin at the low watermark, which
            // keeps this scan short.
            remove: concat!(
                "/* remove_", $one, " */
                 update ", $table, " set
                     deleted_time = ?4,
                     version = version + 1,
                     changed = ", last_change!($table), " + 1
                 where id = ?1 and deleted_time is null and (?2 is null or version = ?2)
                   and not exists (
                       select 1 from orders
                       where ", $id, " = ?1 and orders.id >= ?3 and ", active!(), "
                   )
                 returning id"
            ),
            changed: concat!(
                "/* changed_", $table, " */
                 select cast(", last_change!($table), " as text) as position,
                     coalesce(cast(?1 as integer) > ", last_change!($table), ", false) as lost,
                     ", $table, ".deleted_time is not null as deleted, ", $read, "
                 from (select 1) as always left join (
                     select * from ", $table, " indexed by ", $table, "_by_change
                     where changed > cast(?1 as integer) and id > ?2 order by id limit ?3
                 ) as ", $table, " on true
                 order by id"
            ),
        }
    };
}

impl SqliteTable for Hero {
    const SEARCHED_TO: &'static str = "/* heroes_searched */ select id from heroes where id > ?1 order by id limit 1 offset ?4 - 1";
    const SQL: Statements = statements!(
        "hero", "heroes", "hero_id", hero_columns!(),
        "allergies": "?6", "allergies_folded": "?7", "planet": "?8"; "?9"
    );
}

impl SqliteTable for Meal {
    const SEARCHED_TO: &'static str =
        "/* meals_searched */ select id from meals where id > ?1 order by id limit 1 offset ?4 - 1";
    const SQL: Statements = statements!(
        "meal", "meals", "meal_id", meal_columns!(),
        "ingredients": "?6", "ingredients_folded": "?7",
        "price_hundredths": "?8", "origin_planet": "?9", "description": "?10"; "?11"
    );
}

/// Binds the fields to the parameters from ?3 on.
fn bind<'q>(ask: SqliteQuery<'q>, fields: &RecordFields<'q>) -> SqliteQuery<'q> {
    let ask = ask
        .bind(fields.name)
        .bind(fields.name_folded())
        .bind(FOLD_RULE)
        .bind(fields.entries.as_ref().map(json))
        .bind(fields.entries_folded().as_ref().map(json));
    fields.others.iter().fold(ask, |ask, field| match *field {
        Field::Text(text) => ask.bind(text),
        Field::Number(number) => ask.bind(number),
    })
}

#[async_trait]
impl<R: SqliteTable> Menu<R> for Sqlite {
    async fn create_once(&self, new: &R::New, key: Option<&IdempotencyKey>) -> Result<Creation<R>> {
        let patch: R::Patch = new.clone().into();
        let fields = R::fields(&patch);
        let (key, digest) = key.map(|key| (key.as_str(), digest(new))).unzip();
        for _ in 0..TRIES {
            let ask = sqlx::query(R::SQL.create).bind(key).bind(digest.as_deref());
            let created = self.write(bind(ask, &fields).bind(now()));
            if let Some(created) = only(&created.await?, R::read)? {
                return Ok(Creation::Created(created));
            }
            let before = self.read(sqlx::query(R::SQL.of_key).bind(key).bind(digest.as_deref()));
            if let Some(known) = only(&before.await?, known)? {
                return Ok(known);
            }
        }
        Err(contended())
    }

    async fn get(&self, id: R::Id) -> Result<Option<R>> {
        let rows = self.read(sqlx::query(R::SQL.get).bind(id.into()));
        only(&rows.await?, R::read)
    }

    async fn list(&self, wanted: &ListPage) -> Result<Page<R>> {
        let bind = |sql| {
            sqlx::query(sql)
                .bind(wanted.after.map_or(0, PageCursor::get))
                .bind(wanted.name_contains.as_deref().map(fold))
                .bind(limit(wanted.limit + 1))
                .bind(limit(SEARCHED))
        };
        let found = self.search(bind(R::SQL.list), wanted.limit, bind(R::SEARCHED_TO));
        let (rows, searched_to) = found.await?;
        let matching = rows.iter().map(R::read).collect::<Result<Vec<_>>>()?;
        Ok(page(matching, wanted.limit, |one| one.id().into(), searched_to))
    }

    async fn update(
        &self,
        id: R::Id,
        patch: &R::Patch,
        expected: Option<Version>,
    ) -> Result<R, ChangeError> {
        let fields = R::fields(patch);
        let ask = sqlx::query(R::SQL.update).bind(id.into());
        let rows = self.write(bind(ask.bind(expected.map(|version| version.0)), &fields));
        match only(&rows.await?, R::read)? {
            Some(changed) => Ok(changed),
            None => Err(unchanged(Menu::<R>::get(self, id).await?.as_ref())),
        }
    }

    async fn remove(&self, id: R::Id, expected: Option<Version>) -> Result<(), ChangeError> {
        let rows = self.write(
            sqlx::query(R::SQL.remove)
                .bind(id.into())
                .bind(expected.map(|version| version.0))
                .bind(self.low_watermark.get().get())
                .bind(now()),
        );
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
        let ask = sqlx::query(R::SQL.changed)
            .bind(since.map(|since| since.0.as_str()))
            .bind(after.map_or(0, Into::into))
            .bind(limit(at_most));
        changes(&self.read(ask).await?)
    }
}
