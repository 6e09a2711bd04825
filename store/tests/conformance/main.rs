//! Conformance tests of both stores. `GALLEY_TEST_POSTGRES` names a `PostgreSQL` server in which
//! databases may be created; every test gets its own database.

/// Defines a test of this name for each of these stores: `name::postgres` or `name::sqlite`.
macro_rules! on {
    ($($store:ident),+: $name:ident) => {
        mod $name {
            $(#[tokio::test]
            async fn $store() {
                crate::fresh_database::$store(super::$name).await;
            })+
        }
    };
}

/// Defines a test of this name for both stores.
macro_rules! on_both {
    ($name:ident) => {
        on!(postgres, sqlite: $name);
    };
}

mod adopting_orders;
mod bounded_lists;
mod changed_menu;
mod changed_orders;
mod claiming_orders;
mod clocks;
mod ending_orders;
mod folded_texts;
mod fresh_database;
mod kept_tokens;
mod menu_resources;
mod order_snapshots;
mod order_totals;
mod orders_keep_meals;
mod placing_orders;
mod postgres_only;
mod race;
mod random_operations;
mod reading_from_cursors;
mod reading_orders;
mod reference;
mod safe_low_watermark;
mod schema_checks;
mod store_census;
mod test_store;
mod troubles;
