//! What a row says, for every file of this store.

use galley_protocol::{
    Allergy, Description, Hero, HeroName, HeroRef, Ingredient, Meal, MealName, MealRef, Order, OrderView, Planet, Price, Reason,
    Status, Timestamp, Version,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite as Database, Type};

use crate::StoreError;

/// The columns that [`order`] reads. Of a deleted order they tell the last state.
macro_rules! order_columns {
    () => {
        "orders.id, orders.hero_id, orders.meal_id, orders.status, orders.reason, orders.message,
         orders.version - (orders.deleted_time is not null) as version,
         orders.order_time, orders.started_time, orders.completed_time"
    };
}
pub(super) use order_columns;

/// The columns that [`hero`] reads.
macro_rules! hero_columns {
    () => {
        "heroes.id, heroes.name, heroes.planet, heroes.allergies, heroes.version"
    };
}
pub(super) use hero_columns;

/// The columns that [`meal`] reads.
macro_rules! meal_columns {
    () => {
        "meals.id, meals.name, meals.ingredients, meals.price_hundredths, meals.origin_planet, meals.description, meals.version"
    };
}
pub(super) use meal_columns;

/// Reads one column.
pub(super) fn get<'r, T: Decode<'r, Database> + Type<Database>>(row: &'r SqliteRow, column: &str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::Failed(error.to_string()))
}

/// Reads one column into a type that cannot be wrong.
pub(super) fn parse<'r, T, U>(row: &'r SqliteRow, column: &str) -> Result<U, StoreError>
where
    T: Decode<'r, Database> + Type<Database>,
    U: TryFrom<T>,
    U::Error: std::fmt::Display,
{
    U::try_from(get(row, column)?).map_err(|error| wrong(column, &error))
}

pub(super) fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, StoreError> {
    parse_time(column, get(row, column)?)
}

fn parse_time(column: &str, millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millis(millis).map_err(|error| wrong(column, &error))
}

pub(super) fn hero(row: &SqliteRow) -> Result<Hero, StoreError> {
    Ok(Hero {
        id: parse::<i64, _>(row, "id")?,
        name: parse::<String, HeroName>(row, "name")?,
        planet: parse::<String, Planet>(row, "planet")?,
        allergies: list::<Allergy>(row, "allergies")?,
        version: Version(get(row, "version")?),
    })
}

pub(super) fn meal(row: &SqliteRow) -> Result<Meal, StoreError> {
    Ok(Meal {
        id: parse::<i64, _>(row, "id")?,
        name: parse::<String, MealName>(row, "name")?,
        ingredients: list::<Ingredient>(row, "ingredients")?,
        price: price(row, "price_hundredths")?,
        origin_planet: parse::<String, Planet>(row, "origin_planet")?,
        description: parse::<String, Description>(row, "description")?,
        version: Version(get(row, "version")?),
    })
}

pub(super) fn order(row: &SqliteRow) -> Result<Order, StoreError> {
    let optional_time = |column| get::<Option<i64>>(row, column)?.map(|millis| parse_time(column, millis)).transpose();
    let reason: Option<i16> = get(row, "reason")?;
    Ok(Order {
        id: parse::<i64, _>(row, "id")?,
        hero_id: parse::<i64, _>(row, "hero_id")?,
        meal_id: parse::<i64, _>(row, "meal_id")?,
        status: Status::from_code(get(row, "status")?).ok_or_else(|| wrong("status", &"unknown"))?,
        message: get(row, "message")?,
        reason: reason.map(|code| Reason::from_code(code).ok_or_else(|| wrong("reason", &"unknown"))).transpose()?,
        version: Version(get(row, "version")?),
        order_time: time(row, "order_time")?,
        started_time: optional_time("started_time")?,
        completed_time: optional_time("completed_time")?,
    })
}

/// Reads an order with `hero_name`, `meal_name` and `meal_price` beside it.
pub(super) fn order_view(row: &SqliteRow) -> Result<OrderView, StoreError> {
    let order = order(row)?;
    let hero = HeroRef { id: order.hero_id, name: parse::<String, HeroName>(row, "hero_name")? };
    let meal =
        MealRef { id: order.meal_id, name: parse::<String, MealName>(row, "meal_name")?, price: price(row, "meal_price")? };
    Ok(OrderView { order, hero, meal })
}

fn price(row: &SqliteRow, column: &str) -> Result<Price, StoreError> {
    Price::from_hundredths(get(row, column)?).map_err(|error| wrong(column, &error))
}

fn list<T>(row: &SqliteRow, column: &str) -> Result<Vec<T>, StoreError>
where
    T: TryFrom<String>,
    T::Error: std::fmt::Display,
{
    let texts: Vec<String> = serde_json::from_str(get(row, column)?).map_err(|error| wrong(column, &error))?;
    texts.into_iter().map(|text| T::try_from(text).map_err(|error| wrong(column, &error))).collect()
}

fn wrong(column: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("the column {column} cannot be: {error}"))
}
