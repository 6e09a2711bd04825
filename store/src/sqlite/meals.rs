//! Meals.

use galley_protocol::{
    Description, IdempotencyKey, Meal, MealId, MealName, MealPatch, NewMeal, PageCursor, Planet,
    Price, Version, allergy,
};

use super::session::{json, now};
use super::{Sqlite, only};
use crate::StoreError;
use crate::change::{current, digest, unchanged, with_folded};
use crate::codes::active;
use crate::requests::{Change, ChangeError, ListPage, RemoveError};
use crate::rows::{get, meal, meal_columns};

impl Sqlite {
    /// Inserts and returns the row; `None` when the key is taken.
    pub(super) async fn insert_meal(
        &self,
        new: &NewMeal,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Meal>, StoreError> {
        let (ingredients, folded) = with_folded(&new.ingredients, |ingredient| ingredient.as_str());
        let rows = self.write(
            sqlx::query(concat!(
                "/* create_meal */
                 insert into meals (name, name_folded, ingredients, ingredients_folded, price_hundredths, origin_planet, description,
                     folded_rule, folded_version, creation_key, creation_digest, creation_time)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?10, case when ?9 is not null then ?11 end)
                 on conflict (creation_key) where creation_key is not null do nothing
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
            .bind(key.map(IdempotencyKey::as_str))
            .bind(key.map(|_| digest(new)))
            .bind(now()),
        );
        only(&rows.await?, meal)
    }

    /// The meal that was created under this key, and whether its body was the same.
    pub(super) async fn meal_of_key(
        &self,
        new: &NewMeal,
        key: &IdempotencyKey,
    ) -> Result<Option<(bool, Meal)>, StoreError> {
        let rows = self.read(
            sqlx::query(concat!(
                "/* meal_of_key */ select meals.creation_digest = ?2 as same, ",
                meal_columns!(),
                " from meals where creation_key = ?1"
            ))
            .bind(key.as_str())
            .bind(digest(new)),
        );
        only(&rows.await?, |row| Ok((get(row, "same")?, meal(row)?)))
    }

    pub(super) async fn read_meal(&self, id: MealId) -> Result<Option<Meal>, StoreError> {
        let rows = self.read(
            sqlx::query(concat!(
                "/* meal */ select ",
                meal_columns!(),
                " from meals where id = ?1 and deleted_time is null"
            ))
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

    /// Sets the fields that are given, in one statement: changes at the same moment take turns at
    /// the row, and none fails.
    pub(super) async fn update_meal(
        &self,
        id: MealId,
        change: Change<NewMeal, MealPatch>,
        expected: Option<Version>,
    ) -> Result<Meal, ChangeError> {
        let set = change.fields();
        let lists = set
            .ingredients
            .as_ref()
            .map(|ingredients| with_folded(ingredients, |ingredient| ingredient.as_str()));
        let (ingredients, folded) = lists.unzip();
        let rows = self.write(
            sqlx::query(concat!(
                "/* change_meal */
                 update meals set
                     name = coalesce(?3, name),
                     name_folded = coalesce(?4, name_folded),
                     ingredients = coalesce(?5, ingredients),
                     ingredients_folded = coalesce(?6, ingredients_folded),
                     price_hundredths = coalesce(?7, price_hundredths),
                     origin_planet = coalesce(?8, origin_planet),
                     description = coalesce(?9, description),
                     version = version + 1,
                     -- A stale folding stays stale: this change may leave a part of it.
                     folded_rule = min(folded_rule, ?10),
                     folded_version = folded_version + 1
                 where id = ?1 and deleted_time is null and (?2 is null or version = ?2)
                 returning ",
                meal_columns!()
            ))
            .bind(id.get())
            .bind(expected.map(|version| version.0))
            .bind(set.name.as_ref().map(MealName::as_str))
            .bind(set.name.as_ref().map(|name| allergy::fold(name.as_str())))
            .bind(ingredients.as_ref().map(json))
            .bind(folded.as_ref().map(json))
            .bind(set.price.map(Price::hundredths))
            .bind(set.origin_planet.as_ref().map(Planet::as_str))
            .bind(set.description.as_ref().map(Description::as_str))
            .bind(allergy::FOLD_RULE),
        );
        match only(&rows.await?, meal)? {
            Some(changed) => Ok(changed),
            None => Err(unchanged(self.read_meal(id).await?.as_ref())),
        }
    }

    /// No index leads from a meal to its orders, but what is active begins at the floor.
    pub(super) async fn delete_meal(
        &self,
        id: MealId,
        expected: Option<Version>,
    ) -> Result<(), RemoveError> {
        let rows = self.write(
            sqlx::query(concat! {
                "/* remove_meal */
                 update meals set deleted_time = ?4, version = version + 1
                 where id = ?1 and deleted_time is null and (?2 is null or version = ?2)
                   and not exists (
                       select 1 from orders
                       where meal_id = ?1 and orders.id >= ?3 and ", active!(), "
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
        match current(self.read_meal(id).await?, |meal| meal.version, expected) {
            Ok(_) => Err(RemoveError::HasActiveOrders),
            Err(error) => Err(error.into()),
        }
    }
}
