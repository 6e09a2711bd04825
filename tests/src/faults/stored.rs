//! The orders in the database, including deleted ones, which the service does not show.

use galley_protocol::{Reason, Status, Timestamp};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::sighting::Sighting;

/// An order in the database.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredOrder {
    /// The id.
    pub id: i64,
    /// The hero.
    pub hero: i64,
    /// The meal.
    pub meal: i64,
    /// The key under which it was placed.
    pub key: Option<String>,
    /// True if it was deleted, which adds one version to that of its last state.
    pub deleted: bool,
    /// The last state, as on the wire.
    pub state: Value,
}

impl StoredOrder {
    /// The status of the last state.
    #[must_use]
    pub fn status(&self) -> &str {
        self.state["status"].as_str().unwrap_or_default()
    }

    /// Returns true if it may still change.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status().parse().is_ok_and(Status::is_active)
    }

    /// The version of the last state.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.state["version"].as_i64().unwrap_or_default()
    }

    /// The newest state, as an up-to-date client knows it.
    #[must_use]
    pub fn newest(&self) -> Sighting {
        if self.deleted {
            return Sighting { order: self.id, version: self.version() + 1, state: None };
        }
        Sighting { order: self.id, version: self.version(), state: Some(self.state.clone()) }
    }
}

/// Reads every order.
///
/// # Errors
/// If the database is unreachable.
pub async fn read(url: &str) -> Result<Vec<StoredOrder>, sqlx::Error> {
    let rows: Vec<String> = if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await?;
        let rows = sqlx::query_scalar(
            "select json_object('id', id, 'hero', hero_id, 'meal', meal_id, 'status', status, 'reason', reason,
                 'message', message, 'version', version, 'key', key, 'ordered', order_time, 'started', started_time,
                 'ended', completed_time, 'deleted', deleted_time)
             from orders order by id",
        );
        let rows = rows.fetch_all(&mut connection).await?;
        connection.close().await?;
        rows
    } else {
        let mut connection = PgConnection::connect(url).await?;
        let rows = sqlx::query_scalar(
            "select json_build_object('id', id, 'hero', hero_id, 'meal', meal_id, 'status', status, 'reason', reason,
                 'message', message, 'version', version, 'key', key,
                 'ordered', floor(extract(epoch from order_time) * 1000)::bigint,
                 'started', floor(extract(epoch from started_time) * 1000)::bigint,
                 'ended', floor(extract(epoch from completed_time) * 1000)::bigint,
                 'deleted', floor(extract(epoch from deleted_time) * 1000)::bigint)::text
             from orders order by id",
        );
        let rows = rows.fetch_all(&mut connection).await?;
        connection.close().await?;
        rows
    };
    Ok(rows
        .iter()
        .map(|row| stored(&serde_json::from_str(row).expect("the database writes JSON")))
        .collect())
}

fn stored(row: &Value) -> StoredOrder {
    let number =
        |field: &str| row[field].as_i64().unwrap_or_else(|| panic!("no number {field} in {row}"));
    let code = |field: &str| row[field].as_i64().and_then(|code| i16::try_from(code).ok());
    let time = |field: &str| {
        row[field]
            .as_i64()
            .map(|millis| Timestamp::from_millis(millis).expect("in range").to_string())
    };
    let deleted = !row["deleted"].is_null();
    let (id, hero, meal) = (number("id"), number("hero"), number("meal"));
    let state = json!({
        "id": id,
        "hero_id": hero,
        "meal_id": meal,
        "status": code("status").and_then(Status::from_code),
        "message": row["message"],
        "reason": code("reason").and_then(Reason::from_code),
        "version": number("version") - i64::from(deleted),
        "order_time": time("ordered"),
        "started_time": time("started"),
        "completed_time": time("ended"),
    });
    StoredOrder { id, hero, meal, key: row["key"].as_str().map(str::to_owned), deleted, state }
}
