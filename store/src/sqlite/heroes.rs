//! Heroes.

use galley_protocol::{
    Hero, HeroId, HeroName, HeroPatch, IdempotencyKey, NewHero, PageCursor, Planet, Version,
    allergy,
};

use super::session::{json, now};
use super::{Sqlite, only};
use crate::StoreError;
use crate::change::{current, digest, unchanged, with_folded};
use crate::codes::active;
use crate::requests::{Change, ChangeError, ListPage, RemoveError};
use crate::rows::{get, hero, hero_columns};

impl Sqlite {
    /// Inserts and returns the row; `None` when the key is taken.
    pub(super) async fn insert_hero(
        &self,
        new: &NewHero,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Hero>, StoreError> {
        let (allergies, folded) = with_folded(&new.allergies, |allergy| allergy.as_str());
        let rows = self.write(
            sqlx::query(concat!(
                "/* create_hero */
                 insert into heroes (name, name_folded, planet, allergies, allergies_folded, folded_rule, folded_version,
                     creation_key, creation_digest, creation_time)
                 values (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, case when ?7 is not null then ?9 end)
                 on conflict (creation_key) where creation_key is not null do nothing
                 returning ",
                hero_columns!()
            ))
            .bind(new.name.as_str())
            .bind(allergy::fold(new.name.as_str()))
            .bind(new.planet.as_str())
            .bind(json(&allergies))
            .bind(json(&folded))
            .bind(allergy::FOLD_RULE)
            .bind(key.map(IdempotencyKey::as_str))
            .bind(key.map(|_| digest(new)))
            .bind(now()),
        );
        only(&rows.await?, hero)
    }

    /// The hero that was created under this key, and whether its body was the same.
    pub(super) async fn hero_of_key(
        &self,
        new: &NewHero,
        key: &IdempotencyKey,
    ) -> Result<Option<(bool, Hero)>, StoreError> {
        let rows = self.read(
            sqlx::query(concat!(
                "/* hero_of_key */ select heroes.creation_digest = ?2 as same, ",
                hero_columns!(),
                " from heroes where creation_key = ?1"
            ))
            .bind(key.as_str())
            .bind(digest(new)),
        );
        only(&rows.await?, |row| Ok((get(row, "same")?, hero(row)?)))
    }

    pub(super) async fn read_hero(&self, id: HeroId) -> Result<Option<Hero>, StoreError> {
        let rows = self.read(
            sqlx::query(concat!(
                "/* hero */ select ",
                hero_columns!(),
                " from heroes where id = ?1 and deleted_time is null"
            ))
            .bind(id.get()),
        );
        only(&rows.await?, hero)
    }

    pub(super) async fn list_heroes(&self, page: &ListPage) -> Result<Vec<Hero>, StoreError> {
        let rows = self.read(
            sqlx::query(concat!(
                "/* heroes */ select ",
                hero_columns!(),
                " from heroes
                 where id > ?1 and deleted_time is null and (?2 is null or instr(name_folded, ?2) > 0)
                 order by id limit ?3"
            ))
            .bind(page.after.map_or(0, PageCursor::get))
            .bind(page.name_contains.as_deref().map(allergy::fold))
            .bind(i64::try_from(page.limit).unwrap_or(i64::MAX)),
        );
        rows.await?.iter().map(hero).collect()
    }

    /// Sets the fields that are given, in one statement: changes at the same moment take turns at
    /// the row, and none fails.
    pub(super) async fn update_hero(
        &self,
        id: HeroId,
        change: Change<NewHero, HeroPatch>,
        expected: Option<Version>,
    ) -> Result<Hero, ChangeError> {
        let set = change.fields();
        let lists = set
            .allergies
            .as_ref()
            .map(|allergies| with_folded(allergies, |allergy| allergy.as_str()));
        let (allergies, folded) = lists.unzip();
        let rows = self.write(
            sqlx::query(concat!(
                "/* change_hero */
                 update heroes set
                     name = coalesce(?3, name),
                     name_folded = coalesce(?4, name_folded),
                     planet = coalesce(?5, planet),
                     allergies = coalesce(?6, allergies),
                     allergies_folded = coalesce(?7, allergies_folded),
                     version = version + 1,
                     -- A stale folding stays stale: this change may leave a part of it.
                     folded_rule = min(folded_rule, ?8),
                     folded_version = folded_version + 1
                 where id = ?1 and deleted_time is null and (?2 is null or version = ?2)
                 returning ",
                hero_columns!()
            ))
            .bind(id.get())
            .bind(expected.map(|version| version.0))
            .bind(set.name.as_ref().map(HeroName::as_str))
            .bind(set.name.as_ref().map(|name| allergy::fold(name.as_str())))
            .bind(set.planet.as_ref().map(Planet::as_str))
            .bind(allergies.as_ref().map(json))
            .bind(folded.as_ref().map(json))
            .bind(allergy::FOLD_RULE),
        );
        match only(&rows.await?, hero)? {
            Some(changed) => Ok(changed),
            None => Err(unchanged(self.read_hero(id).await?.as_ref())),
        }
    }

    pub(super) async fn delete_hero(
        &self,
        id: HeroId,
        expected: Option<Version>,
    ) -> Result<(), RemoveError> {
        let rows = self.write(
            sqlx::query(concat! {
                "/* remove_hero */
                 update heroes set deleted_time = ?4, version = version + 1
                 where id = ?1 and deleted_time is null and (?2 is null or version = ?2)
                   and not exists (
                       select 1 from orders
                       where hero_id = ?1 and orders.id >= ?3 and ", active!(), "
                   )
                 returning id"
            })
            .bind(id.get())
            .bind(expected.map(|version| version.0))
            .bind(self.floor.get().get())
            .bind(now()),
        );
        if !rows.await?.is_empty() {
            return Ok(());
        }
        match current(self.read_hero(id).await?, |hero| hero.version, expected) {
            Ok(_) => Err(RemoveError::HasActiveOrders),
            Err(error) => Err(error.into()),
        }
    }
}
