//! Reading rows, the same in both stores: the columns to select, and the values built from them.
//! Stored texts are not validated again: a stricter rule must not make an old row unreadable.

use galley_protocol::frame::Totals;
use galley_protocol::{
    Allergy, Description, Hero, HeroId, HeroName, HeroRef, Ingredient, Meal, MealName, MealRef,
    Order, OrderView, Planet, Price, Reason, Status, Timestamp, Version,
};
use sqlx::{Decode, Postgres, Sqlite, Type};

use crate::{Result, SignOut, StoreError, Ticket, ViewedOrder};

/// The columns that [`order`] reads: for a deleted order, its last state before the deletion.
macro_rules! order_columns {
    () => {
        "orders.id, orders.hero_id, orders.meal_id, orders.status, orders.reason, orders.message,
         case when orders.deleted_time is null then orders.version else orders.version - 1 end as version,
         orders.order_time, orders.started_time, orders.completed_time"
    };
}
pub(crate) use order_columns;

/// The columns that [`order_view`] reads, of `orders` with [`names_joined`]. The meal has the name
/// and price that it had when the order was placed. Orders placed by an older gateway lack these
/// and use the present ones.
macro_rules! order_view_columns {
    () => {
        concat!(
            $crate::row_values::order_columns!(),
            ", heroes.name as hero_name, heroes.version as hero_version,
             coalesce(orders.meal_name, meals.name) as meal_name,
             coalesce(orders.meal_price_hundredths, meals.price_hundredths) as meal_price"
        )
    };
}
pub(crate) use order_view_columns;

/// Joins the heroes and the meals to `orders`. Deleted ones are included, because ended orders stay
/// readable.
macro_rules! names_joined {
    () => {
        " join heroes on heroes.id = orders.hero_id join meals on meals.id = orders.meal_id "
    };
}
pub(crate) use names_joined;

/// Selects one order for [`viewed_order`]; `$id` is its parameter.
macro_rules! one_order {
    ($id:literal) => {
        concat!(
            "/* order */ select ",
            $crate::row_values::order_view_columns!(),
            " from orders",
            $crate::row_values::names_joined!(),
            "where orders.deleted_time is null and orders.id = ",
            $id
        )
    };
}
pub(crate) use one_order;

macro_rules! hero_columns {
    () => {
        "heroes.id, heroes.name, heroes.planet, heroes.allergies, heroes.version"
    };
}
pub(crate) use hero_columns;

macro_rules! meal_columns {
    () => {
        "meals.id, meals.name, meals.ingredients, meals.price_hundredths, meals.origin_planet, meals.description, meals.version"
    };
}
pub(crate) use meal_columns;

/// A type that both databases can decode.
pub(crate) trait Value:
    for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>
{
}

impl<T> Value for T where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>
{
}

/// A row of either database. Times and lists are stored differently in each.
pub(crate) trait Columns {
    fn value<T: Value>(&self, column: &str) -> Result<T, sqlx::Error>;
    fn optional_time(&self, column: &str) -> Result<Option<Timestamp>>;
    fn texts(&self, column: &str) -> Result<Vec<String>>;
}

pub(crate) fn only<R, T>(rows: &[R], read: impl Fn(&R) -> Result<T>) -> Result<Option<T>> {
    rows.first().map(read).transpose()
}

pub(crate) fn sign_out(row: &impl Columns) -> Result<SignOut> {
    let hero_id = parse::<i64, HeroId>(row, "hero_id")?;
    Ok(SignOut { hero_id, second: parse::<i64, u64>(row, "second")? })
}

/// Reads a ticket that was taken; `None` for one that has ended.
pub(crate) fn ticket(row: &impl Columns) -> Result<Option<Ticket>> {
    if !get::<bool>(row, "good")? {
        return Ok(None);
    }
    let hero_id = get::<Option<i64>>(row, "hero_id")?.map(HeroId::try_from).transpose();
    Ok(Some(Ticket {
        hero_id: hero_id.map_err(|error| wrong("hero_id", &error))?,
        subject: get::<i64>(row, "subject")?.cast_unsigned(),
        name: get(row, "name")?,
        issued: get::<Option<i64>>(row, "issued")?.map(i64::cast_unsigned),
        token_expires: get::<i64>(row, "token_expires")?.cast_unsigned(),
        origin: get(row, "origin")?,
    }))
}

pub(crate) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn get<T: Value>(row: &impl Columns, column: &str) -> Result<T> {
    row.value(column).map_err(|error| StoreError::Failed(error.to_string()))
}

/// Reads one column and validates it as `U`.
pub(crate) fn parse<T, U>(row: &impl Columns, column: &str) -> Result<U>
where
    T: Value,
    U: TryFrom<T>,
    U::Error: std::fmt::Display,
{
    U::try_from(get(row, column)?).map_err(|error| wrong(column, &error))
}

pub(crate) fn time(row: &impl Columns, column: &str) -> Result<Timestamp> {
    row.optional_time(column)?.ok_or_else(|| wrong(column, &"empty"))
}

pub(crate) fn hero(row: &impl Columns) -> Result<Hero> {
    Ok(Hero {
        id: parse::<i64, _>(row, "id")?,
        name: HeroName::accepted(get(row, "name")?),
        planet: Planet::accepted(get(row, "planet")?),
        allergies: list(row, "allergies", Allergy::accepted)?,
        version: Version(get(row, "version")?),
    })
}

pub(crate) fn meal(row: &impl Columns) -> Result<Meal> {
    Ok(Meal {
        id: parse::<i64, _>(row, "id")?,
        name: MealName::accepted(get(row, "name")?),
        ingredients: list(row, "ingredients", Ingredient::accepted)?,
        price: price(row, "price_hundredths")?,
        origin_planet: Planet::accepted(get(row, "origin_planet")?),
        description: Description::accepted(get(row, "description")?),
        version: Version(get(row, "version")?),
    })
}

pub(crate) fn order(row: &impl Columns) -> Result<Order> {
    let reason: Option<i16> = get(row, "reason")?;
    Ok(Order {
        id: parse::<i64, _>(row, "id")?,
        hero_id: parse::<i64, _>(row, "hero_id")?,
        meal_id: parse::<i64, _>(row, "meal_id")?,
        status: Status::from_code(get(row, "status")?)
            .ok_or_else(|| wrong("status", &"unknown"))?,
        message: get(row, "message")?,
        // A later version may know more reasons; the message tells people.
        reason: reason.and_then(Reason::from_code),
        version: Version(get(row, "version")?),
        order_time: time(row, "order_time")?,
        started_time: row.optional_time("started_time")?,
        completed_time: row.optional_time("completed_time")?,
    })
}

/// Reads an order and the columns `hero_name`, `meal_name` and `meal_price`.
pub(crate) fn order_view(row: &impl Columns) -> Result<OrderView> {
    let order = order(row)?;
    let hero = HeroRef { id: order.hero_id, name: HeroName::accepted(get(row, "hero_name")?) };
    let meal = MealRef {
        id: order.meal_id,
        name: MealName::accepted(get(row, "meal_name")?),
        price: price(row, "meal_price")?,
    };
    Ok(OrderView { order, hero, meal })
}

pub(crate) fn viewed_order(row: &impl Columns) -> Result<ViewedOrder> {
    Ok(ViewedOrder { view: order_view(row)?, hero_version: Version(get(row, "hero_version")?) })
}

/// Reads the columns that are named like the statuses.
pub(crate) fn totals(row: &impl Columns) -> Result<Totals> {
    let mut totals = Totals::default();
    for status in Status::ALL {
        *totals.of(status) = get(row, &status.as_str().to_lowercase())?;
    }
    Ok(totals)
}

fn price(row: &impl Columns, column: &str) -> Result<Price> {
    Price::from_hundredths(get(row, column)?).map_err(|error| wrong(column, &error))
}

fn list<T>(row: &impl Columns, column: &str, accepted: impl Fn(String) -> T) -> Result<Vec<T>> {
    Ok(row.texts(column)?.into_iter().map(accepted).collect())
}

pub(crate) fn wrong(column: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("the column {column} cannot be: {error}"))
}
