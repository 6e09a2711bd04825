//! What every store does, asked of each of them. `GALLEY_TEST_POSTGRES` names a `PostgreSQL` in
//! which databases may be created; each test gets its own.

mod adopt;
mod census;
mod changes;
mod claim;
mod clocks;
mod cursors;
mod database;
mod ending;
mod floor;
mod folding;
mod kept_meals;
mod kitchen;
mod menu;
mod model;
mod place;
mod postgres_only;
mod race;
mod reads;
mod reference;
mod schema;
mod snapshots;
mod totals;
mod troubles;

/// Each test once per store: `postgres::name` and `sqlite::name`.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                crate::database::on_postgres(super::$name).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                crate::database::on_sqlite(super::$name).await;
            })+
        }
    };
}
use on_both;
