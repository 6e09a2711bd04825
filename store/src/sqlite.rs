//! The store in one `SQLite` file, served by one process.
//!
//! All writes go through one connection, set by set: a statement per row would be ten times slower.
//! What takes several statements is one transaction, so that verdicts judged in between hold. A
//! lock on a file beside the database keeps other processes away; the system frees it however the
//! process ends.

mod adopt;
mod backup;
mod cancel;
mod changes;
mod claim;
mod complete;
mod delete;
mod epoch;
mod failure;
mod file;
mod folding;
mod heroes;
mod maintain;
mod meals;
mod place;
mod position;
mod reads;
mod rows;
mod schema;
mod session;
mod snapshots;
mod tally;

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use galley_protocol::frame::Totals;
use galley_protocol::{
    CancelOrder, DeleteOrder, Hero, HeroId, HeroPatch, IdempotencyKey, IncarnationId, ListOrders,
    Meal, MealId, MealPatch, NewHero, NewMeal, OfHero, Order, OrderId, OrderView, PlaceOrder,
    PublisherId, ResumeCursor, Version,
};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;
use tokio::time::Instant;

pub use self::backup::{BackupError, BackupReport, backup};
use self::file::Opened;
use self::position::Position;
use crate::change::once;
use crate::changes::{Changes, ChangesOfAll, ChangesRequest, States};
use crate::cursors::CursorKeys;
use crate::floor::Floor;
use crate::outage::Outage;
use crate::requests::{
    CancelVerdict, Census, Change, ChangeError, Claim, Claimed, Creation, DeleteVerdict,
    Incarnations, ListPage, PlaceVerdict, RemoveError, ViewedOrder,
};
use crate::snapshot::{Snapshot, SnapshotRequest};
use crate::{ConnectError, Store, StoreError};

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

/// Reads the row of an answer of at most one.
fn only<T>(
    rows: &[SqliteRow],
    read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    rows.first().map(read).transpose()
}

#[async_trait]
impl Store for Sqlite {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.apply_migrations().await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.check_schema().await
    }

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

    async fn order(&self, id: OrderId) -> Result<Option<ViewedOrder>, StoreError> {
        self.read_order(id).await
    }
    async fn orders(&self, filter: &OfHero<ListOrders>) -> Result<Vec<OrderView>, StoreError> {
        self.list_orders(filter).await
    }
    async fn totals(&self) -> Result<Totals, StoreError> {
        self.count_orders().await
    }
    async fn snapshots(
        &self,
        requests: &[SnapshotRequest],
    ) -> Result<Vec<Option<Snapshot>>, StoreError> {
        self.read_snapshots(requests).await
    }
    async fn changes(&self, requests: &[ChangesRequest]) -> Result<Vec<Changes>, StoreError> {
        self.read_changes(requests).await
    }
    async fn changes_of_all(
        &self,
        since: ResumeCursor,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<ChangesOfAll, StoreError> {
        self.read_changes_of_all(since, before, limit).await
    }
    async fn present(&self) -> Result<ResumeCursor, StoreError> {
        self.now()
    }
    fn cursor_keys(&self) -> &CursorKeys {
        &self.cursor_keys
    }
    async fn read_cursor(&self, text: &str) -> ResumeCursor {
        self.cursor_keys.read(text).unwrap_or(ResumeCursor::EXPIRED)
    }
    async fn states(&self, lists: &[Vec<OrderId>]) -> Result<Vec<States>, StoreError> {
        self.read_states(lists).await
    }

    async fn place(
        &self,
        requests: &[OfHero<PlaceOrder, HeroId>],
    ) -> Result<Vec<PlaceVerdict>, StoreError> {
        self.place_orders(requests).await
    }
    async fn cancel(
        &self,
        requests: &[OfHero<CancelOrder>],
    ) -> Result<Vec<CancelVerdict>, StoreError> {
        self.cancel_orders(requests).await
    }
    async fn delete(
        &self,
        requests: &[OfHero<DeleteOrder>],
    ) -> Result<Vec<DeleteVerdict>, StoreError> {
        self.delete_orders(requests).await
    }

    async fn enlist(&self) -> Result<IncarnationId, StoreError> {
        self.begin_incarnation().await
    }
    async fn incarnations(&self) -> Result<Incarnations, StoreError> {
        Ok(self.known_incarnations())
    }

    /// One process serves the file: it is all there is.
    async fn census(&self, own: PublisherId, hears: bool) -> Result<Census, StoreError> {
        let safe = self.now()?;
        let hearing = hears.then_some(own).into_iter().collect();
        Ok(Census { living: [own].into(), hearing, safe, next: safe.position })
    }

    async fn claim(
        &self,
        owner: IncarnationId,
        claim: Claim<'_>,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.claim_orders(owner, &claim).await
    }
    async fn adopt(&self, owner: IncarnationId, limit: usize) -> Result<Vec<Claimed>, StoreError> {
        self.adopt_orders(owner, limit).await
    }
    async fn complete(
        &self,
        owner: IncarnationId,
        orders: &[OrderId],
    ) -> Result<Vec<Order>, StoreError> {
        self.complete_orders(owner, orders).await
    }
    async fn hand_back(&self, owner: IncarnationId) -> Result<u64, StoreError> {
        self.release_orders(owner).await
    }

    fn floor(&self) -> OrderId {
        self.floor.get()
    }
    async fn maintain(&self) -> Result<(), StoreError> {
        self.keep_up().await
    }
    async fn checkpoint(&self) -> Result<(), StoreError> {
        self.move_log().await.map(|_| ())
    }
    async fn close(&self) {
        self.close_file().await;
    }
}
