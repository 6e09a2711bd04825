//! Heroes.

use galley_protocol::{Hero, HeroId, HeroPatch, NewHero, PageCursor, Version, allergy};

use super::session::{json, now};
use super::{CHANGE_TRIES, Sqlite, only};
use crate::StoreError;
use crate::change::{current, with_folded};
use crate::requests::{Change, ChangeError, ListPage, RemoveError};
use crate::rows::{hero, hero_columns};

impl Sqlite {
    pub(super) async fn insert_hero(&self, new: &NewHero) -> Result<Hero, StoreError> {
        let (allergies, folded) = with_folded(&new.allergies, |allergy| allergy.as_str());
        let rows = self.write(
            sqlx::query(concat!(
                "/* create_hero */
                 insert into heroes (name, name_folded, planet, allergies, allergies_folded, folded_rule, folded_version)
                 values (?1, ?2, ?3, ?4, ?5, ?6, 1)
                 returning ",
                hero_columns!()
            ))
            .bind(new.name.as_str())
            .bind(allergy::fold(new.name.as_str()))
            .bind(new.planet.as_str())
            .bind(json(&allergies))
            .bind(json(&folded))
            .bind(allergy::FOLD_RULE),
        );
        only(&rows.await?, hero)?.ok_or_else(|| StoreError::Failed("a hero was not inserted".to_owned()))
    }

    pub(super) async fn read_hero(&self, id: HeroId) -> Result<Option<Hero>, StoreError> {
        let rows = self.read(
            sqlx::query(concat!("/* hero */ select ", hero_columns!(), " from heroes where id = ?1 and deleted_time is null"))
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

    /// Reads, changes and writes what was read; again when somebody else was faster.
    pub(super) async fn update_hero(
        &self,
        id: HeroId,
        change: Change<NewHero, HeroPatch>,
        expected: Option<Version>,
    ) -> Result<Hero, ChangeError> {
        for _ in 0..CHANGE_TRIES {
            let found = current(self.read_hero(id).await?, |hero| hero.version, expected)?;
            let version = found.version;
            if let Some(changed) = self.write_hero(id, &change.clone().apply(found), version).await? {
                return Ok(changed);
            }
        }
        Err(StoreError::Unavailable("too many changes of one hero at once".to_owned()).into())
    }

    async fn write_hero(&self, id: HeroId, whole: &NewHero, version: Version) -> Result<Option<Hero>, StoreError> {
        let (allergies, folded) = with_folded(&whole.allergies, |allergy| allergy.as_str());
        let rows = self.write(
            sqlx::query(concat!(
                "/* change_hero */
                 update heroes set name = ?3, name_folded = ?4, planet = ?5, allergies = ?6, allergies_folded = ?7, version = version + 1,
                     folded_rule = ?8, folded_version = version + 1
                 where id = ?1 and version = ?2 and deleted_time is null
                 returning ", hero_columns!()
            ))
            .bind(id.get())
            .bind(version.0)
            .bind(whole.name.as_str())
            .bind(allergy::fold(whole.name.as_str()))
            .bind(whole.planet.as_str())
            .bind(json(&allergies))
            .bind(json(&folded))
            .bind(allergy::FOLD_RULE)
        );
        only(&rows.await?, hero)
    }

    pub(super) async fn delete_hero(&self, id: HeroId, expected: Option<Version>) -> Result<(), RemoveError> {
        let rows = self.write(
            sqlx::query(
                "/* remove_hero */
                 update heroes set deleted_time = ?4, version = version + 1
                 where id = ?1 and deleted_time is null and (?2 is null or version = ?2)
                   and not exists (select 1 from orders where hero_id = ?1 and orders.id >= ?3 and status in (0, 1))
                 returning id",
            )
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
