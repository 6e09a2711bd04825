//! The store in one `SQLite` file, served by one process.
//!
//! All writes go through one connection, set by set: a statement per row would be ten times slower.
//! What takes several statements is one transaction, so that verdicts judged in between hold. A
//! lock on a file beside the database keeps other processes away; the system frees it however the
//! process ends.

mod backup;
mod claim;
mod epoch;
mod failure;
mod file;
mod folding;
mod heroes;
mod maintain;
mod meals;
mod placing;
mod position;
mod reading;
mod rows;
mod session;
mod snapshots;
mod tally;
mod upkeep;
mod work;

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use galley_protocol::{
    Hero, HeroId, HeroPatch, IdempotencyKey, Meal, MealId, MealPatch, NewHero, NewMeal, Version,
};
use sqlx::SqlitePool;
use tokio::time::Instant;

pub use self::backup::{BackupError, BackupReport, backup};
use self::file::Opened;
use self::position::Position;
use crate::change::once;
use crate::cursors::CursorKeys;
use crate::floor::Floor;
use crate::outage::Outage;
use crate::requests::{Change, ChangeError, Creation, ListPage, RemoveError};
use crate::rows::only;
use crate::{ConnectError, Menu, StoreError};

pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    floor: Floor,
    position: Position,
    cursor_keys: CursorKeys,
    /// The incarnations of this process; all others are dead. One per start of a worker, so that it
    /// needs no other bound.
    living: Mutex<HashSet<i64>>,
    /// When old rows were forgotten last.
    forgotten: Mutex<Option<Instant>>,
    path: PathBuf,
    opened: Opened,
    outage: Outage,
    /// Held as long as the store lives.
    _lock: File,
}

impl Sqlite {
    /// Where a URL leads, for people.
    pub(crate) fn place(url: &str) -> Result<String, ConnectError> {
        session::options(url)
            .map(|options| failure::place(options.get_filename()))
            .map_err(ConnectError::BadUrl)
    }

    /// Locks and opens the file; makes it, and the folders on its way, when they are not there.
    pub(crate) async fn connect(url: &str) -> Result<Self, ConnectError> {
        let options = session::options(url).map_err(ConnectError::BadUrl)?;
        let path = options.get_filename().to_owned();
        failure::prepare(&path)?;
        let lock = file::lock(&path)?;
        file::create_or_check(&options).await?;
        let writer = session::writer(&options).await?;
        let readers = session::readers(&options).await?;
        let (living, forgotten) = (Mutex::default(), Mutex::default());
        // The first reads make the files beside the database.
        sqlx::query("/* open */ select 1 from sqlite_schema")
            .fetch_all(&writer)
            .await
            .map_err(|error| session::refusal(&error))?;
        let (opened, outage) = (Opened::at(&path), Outage::new(failure::place(&path)));
        let (floor, position, cursor_keys) =
            (Floor::default(), Position::default(), CursorKeys::default());
        let store = Self {
            writer,
            readers,
            floor,
            position,
            cursor_keys,
            living,
            forgotten,
            path,
            opened,
            outage,
            _lock: lock,
        };
        store.read_first().await?;
        Ok(store)
    }
}

#[async_trait]
impl Menu for Sqlite {
    async fn create_hero(&self, hero: &NewHero) -> Result<Hero, StoreError> {
        let unkeyed = self.insert_hero(hero, None).await?;
        unkeyed.ok_or_else(|| StoreError::Failed("a hero was not inserted".to_owned()))
    }
    async fn create_hero_once(
        &self,
        hero: &NewHero,
        key: &IdempotencyKey,
    ) -> Result<Creation<Hero>, StoreError> {
        once(|| self.insert_hero(hero, Some(key)), || self.hero_of_key(hero, key)).await
    }
    async fn hero(&self, id: HeroId) -> Result<Option<Hero>, StoreError> {
        self.read_hero(id).await
    }
    async fn heroes(&self, page: &ListPage) -> Result<Vec<Hero>, StoreError> {
        self.list_heroes(page).await
    }
    async fn change_hero(
        &self,
        id: HeroId,
        change: Change<NewHero, HeroPatch>,
        expected: Option<Version>,
    ) -> Result<Hero, ChangeError> {
        self.update_hero(id, change, expected).await
    }
    async fn remove_hero(&self, id: HeroId, expected: Option<Version>) -> Result<(), RemoveError> {
        self.delete_hero(id, expected).await
    }

    async fn create_meal(&self, meal: &NewMeal) -> Result<Meal, StoreError> {
        let unkeyed = self.insert_meal(meal, None).await?;
        unkeyed.ok_or_else(|| StoreError::Failed("a meal was not inserted".to_owned()))
    }
    async fn create_meal_once(
        &self,
        meal: &NewMeal,
        key: &IdempotencyKey,
    ) -> Result<Creation<Meal>, StoreError> {
        once(|| self.insert_meal(meal, Some(key)), || self.meal_of_key(meal, key)).await
    }
    async fn meal(&self, id: MealId) -> Result<Option<Meal>, StoreError> {
        self.read_meal(id).await
    }
    async fn meals(&self, page: &ListPage) -> Result<Vec<Meal>, StoreError> {
        self.list_meals(page).await
    }
    async fn change_meal(
        &self,
        id: MealId,
        change: Change<NewMeal, MealPatch>,
        expected: Option<Version>,
    ) -> Result<Meal, ChangeError> {
        self.update_meal(id, change, expected).await
    }
    async fn remove_meal(&self, id: MealId, expected: Option<Version>) -> Result<(), RemoveError> {
        self.delete_meal(id, expected).await
    }
}
