//! The store on `PostgreSQL` 15 or newer, shared by any number of processes.
//!
//! Every method is a guarded statement or two, each committed by itself; see [`session`] for how
//! they get there. Times come from the database's clock only. Rows are locked by rising id, so that
//! batches that overlap cannot deadlock.

mod backends;
mod cancel;
mod census;
mod claim;
mod delete;
mod epoch;
mod failure;
mod folding;
mod heroes;
mod liveness;
mod maintain;
mod meals;
mod place;
mod placing;
mod reading;
mod rows;
mod session;
mod settled;
mod snapshots;
mod tally;
mod upkeep;
mod work;

use std::sync::Arc;

use async_trait::async_trait;
use galley_protocol::{
    Hero, HeroId, HeroPatch, IdempotencyKey, Meal, MealId, MealPatch, NewHero, NewMeal, Version,
};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;

use self::backends::Backends;
use self::epoch::KeyRead;
use self::liveness::Liveness;
use self::maintain::Maintenance;
use self::settled::SettledFloor;
use crate::change::once;
use crate::cursors::CursorKeys;
use crate::floor::Floor;
use crate::outage::Outage;
use crate::requests::{Change, ChangeError, Creation, ListPage, RemoveError};
use crate::rows::only;
use crate::{ConnectError, Menu, StoreError};

pub(crate) struct Postgres {
    pool: PgPool,
    backends: Arc<Backends>,
    /// Whoever tries whether changes are possible again: one at a time.
    probe: Arc<tokio::sync::Mutex<()>>,
    /// For connections outside of the pool, without its time-outs.
    options: PgConnectOptions,
    floor: Floor,
    settled: SettledFloor,
    cursor_keys: CursorKeys,
    key_read: KeyRead,
    liveness: Liveness,
    maintenance: Maintenance,
    outage: Outage,
}

impl Postgres {
    /// Where a URL leads, for people.
    pub(crate) fn place(url: &str) -> Result<String, ConnectError> {
        session::options(url).map(|options| failure::place(&options)).map_err(ConnectError::BadUrl)
    }

    /// Opens the pool, after one connection has shown that the database answers.
    pub(crate) async fn connect(url: &str) -> Result<Self, ConnectError> {
        let options = session::options(url).map_err(ConnectError::BadUrl)?;
        let greet = async { PgConnection::connect_with(&options).await?.close().await };
        let greeted = timeout(crate::STATEMENT_TIMEOUT, greet)
            .await
            .unwrap_or_else(|_| Err(session::silence()));
        greeted.map_err(|error| failure::of_connecting(&options, &error))?;
        let (backends, probe) = (Arc::<Backends>::default(), Arc::default());
        let pool = session::pool(options.clone(), &backends);
        let outage = Outage::new(failure::place(&options));
        let (floor, settled) = (Floor::default(), SettledFloor::default());
        let (liveness, maintenance) = (Liveness::default(), Maintenance::default());
        let (cursor_keys, key_read) = (CursorKeys::default(), KeyRead::default());
        let store = Self {
            pool,
            backends,
            probe,
            options,
            floor,
            settled,
            cursor_keys,
            key_read,
            liveness,
            maintenance,
            outage,
        };
        store.read_first().await.map_err(|error| failure::of_reading(&store.options, error))?;
        Ok(store)
    }
}

#[async_trait]
impl Menu for Postgres {
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
