//! Meals.

use galley_protocol::{Meal, MealId, MealPatch, NewMeal, PageCursor, Version, allergy};

use super::session::{json, now};
use super::{CHANGE_TRIES, Sqlite, only};
use crate::StoreError;
use crate::change::{current, with_folded};
use crate::requests::{Change, ChangeError, ListPage, RemoveError};
use crate::rows::{meal, meal_columns};

impl Sqlite {
    pub(super) async fn insert_meal(&self, new: &NewMeal) -> Result<Meal, StoreError> {
        let (ingredients, folded) = with_folded(&new.ingredients, |ingredient| ingredient.as_str());
        let rows = self.write(
            sqlx::query(concat!(
                "/* create_meal */
                 insert into meals (name, name_folded, ingredients, ingredients_folded, price_hundredths, origin_planet, description,
                     folded_rule, folded_version)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)
                 returning ", meal_columns!()
            ))
            .bind(new.name.as_str())
            .bind(allergy::fold(new.name.as_str()))
            .bind(json(&ingredients))
            .bind(json(&folded))
            .bind(new.price.hundredths())
            .bind(new.origin_planet.as_str())
            .bind(new.description.as_str())
            .bind(allergy::FOLD_RULE)
        );
        only(&rows.await?, meal)?.ok_or_else(|| StoreError::Failed("a meal was not inserted".to_owned()))
    }

    pub(super) async fn read_meal(&self, id: MealId) -> Result<Option<Meal>, StoreError> {
        let rows = self.read(
            sqlx::query(concat!("/* meal */ select ", meal_columns!(), " from meals where id = ?1 and deleted_time is null"))
                .bind(id.get()),
        );
        only(&rows.await?, meal)
    }

    pub(super) async fn list_meals(&self, page: &ListPage) -> Result<Vec<Meal>, StoreError> {
        let rows = self.read(
            sqlx::query(concat!(
                "/* meals */ select ",
                meal_columns!(),
                " from meals
                 where id > ?1 and deleted_time is null and (?2 is null or instr(name_folded, ?2) > 0)
                 order by id limit ?3"
            ))
            .bind(page.after.map_or(0, PageCursor::get))
            .bind(page.name_contains.as_deref().map(allergy::fold))
            .bind(i64::try_from(page.limit).unwrap_or(i64::MAX)),
        );
        rows.await?.iter().map(meal).collect()
    }

    /// Reads, changes and writes what was read; again when somebody else was faster.
    pub(super) async fn update_meal(
        &self,
        id: MealId,
        change: Change<NewMeal, MealPatch>,
        expected: Option<Version>,
    ) -> Result<Meal, ChangeError> {
        for _ in 0..CHANGE_TRIES {
            let found = current(self.read_meal(id).await?, |meal| meal.version, expected)?;
            let version = found.version;
            if let Some(changed) = self.write_meal(id, &change.clone().apply(found), version).await? {
                return Ok(changed);
            }
        }
        Err(StoreError::Unavailable("too many changes of one meal at once".to_owned()).into())
    }

    async fn write_meal(&self, id: MealId, whole: &NewMeal, version: Version) -> Result<Option<Meal>, StoreError> {
        let (ingredients, folded) = with_folded(&whole.ingredients, |ingredient| ingredient.as_str());
        let rows = self.write(
            sqlx::query(concat!(
                "/* change_meal */
                 update meals set name = ?3, name_folded = ?4, ingredients = ?5, ingredients_folded = ?6, price_hundredths = ?7,
                     origin_planet = ?8, description = ?9, version = version + 1,
                     folded_rule = ?10, folded_version = version + 1
                 where id = ?1 and version = ?2 and deleted_time is null
                 returning ",
                meal_columns!()
            ))
            .bind(id.get())
            .bind(version.0)
            .bind(whole.name.as_str())
            .bind(allergy::fold(whole.name.as_str()))
            .bind(json(&ingredients))
            .bind(json(&folded))
            .bind(whole.price.hundredths())
            .bind(whole.origin_planet.as_str())
            .bind(whole.description.as_str())
            .bind(allergy::FOLD_RULE),
        );
        only(&rows.await?, meal)
    }

    /// No index leads from a meal to its orders, but what is active begins at the floor.
    pub(super) async fn delete_meal(&self, id: MealId, expected: Option<Version>) -> Result<(), RemoveError> {
        let rows = self.write(
            sqlx::query(
                "/* remove_meal */
                 update meals set deleted_time = ?4, version = version + 1
                 where id = ?1 and deleted_time is null and (?2 is null or version = ?2)
                   and not exists (select 1 from orders where meal_id = ?1 and orders.id >= ?3 and status in (0, 1))
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
        match current(self.read_meal(id).await?, |meal| meal.version, expected) {
            Ok(_) => Err(RemoveError::HasActiveOrders),
            Err(error) => Err(error.into()),
        }
    }
}
