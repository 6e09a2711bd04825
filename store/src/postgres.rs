//! The store on `PostgreSQL` 15 or newer, shared by any number of processes.
//!
//! Every method is a guarded statement or two, each committed by itself; see [`session`] for how
//! they get there. Times come from the database's clock only. Rows are locked by rising id, so that
//! batches that overlap cannot deadlock.

mod adopt;
mod backends;
mod cancel;
mod census;
mod changes;
mod claim;
mod complete;
mod delete;
mod epoch;
mod failure;
mod folding;
mod heroes;
mod liveness;
mod maintain;
mod meals;
mod place;
mod reads;
mod rows;
mod schema;
mod session;
mod settled;
mod snapshots;
mod tally;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use galley_protocol::frame::Totals;
use galley_protocol::{
    CancelOrder, DeleteOrder, Hero, HeroId, HeroPatch, IdempotencyKey, IncarnationId, ListOrders,
    Meal, MealId, MealPatch, NewHero, NewMeal, OfHero, Order, OrderId, OrderView, PlaceOrder,
    PublisherId, ResumeCursor, Version,
};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;

use self::backends::Backends;
use self::epoch::KeyRead;
use self::liveness::Liveness;
use self::maintain::Upkeep;
use self::settled::SettledFloor;
use crate::change::once;
use crate::changes::{Changes, ChangesOfAll, ChangesRequest, States};
use crate::cursors::CursorKeys;
use crate::floor::Floor;
use crate::outage::Outage;
use crate::requests::{
    CancelVerdict, Census, Change, ChangeError, Claim, Claimed, Creation, DeleteVerdict,
    Incarnations, ListPage, PlaceVerdict, RemoveError, ViewedOrder,
};
use crate::rows::get;
use crate::snapshot::{Snapshot, SnapshotRequest};
use crate::{ConnectError, Store, StoreError};

/// How often the requests of a batch are asked again when others come between asking and reading.
const DECIDE_TRIES: usize = 5;
/// How long the end waits for the last statements.
const CLOSING: Duration = Duration::from_secs(5);

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
    upkeep: Upkeep,
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
        let (liveness, upkeep) = (Liveness::default(), Upkeep::default());
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
            upkeep,
            outage,
        };
        store.read_first().await.map_err(|error| failure::of_reading(&store.options, error))?;
        Ok(store)
    }
}

/// Reads the row of an answer of at most one.
fn only<T>(
    rows: &[PgRow],
    read: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    rows.first().map(read).transpose()
}

/// The index of the request that a row is about, from its ordinality `n`.
fn index(row: &PgRow) -> Result<usize, StoreError> {
    usize::try_from(get::<i64>(row, "n")? - 1)
        .map_err(|_| StoreError::Failed("the number of a request cannot be".to_owned()))
}

/// Reads the verdicts from rows, at most one for each request.
fn verdicts<V: Clone>(
    rows: &[PgRow],
    requests: usize,
    verdict: impl Fn(&PgRow) -> Result<V, StoreError>,
) -> Result<Vec<Option<V>>, StoreError> {
    let mut verdicts = vec![None; requests];
    for row in rows {
        verdicts[index(row)?] = Some(verdict(row)?);
    }
    Ok(verdicts)
}

/// The verdicts of a statement: one for each request, or `None`.
type Verdicts<'a, V> =
    Pin<Box<dyn Future<Output = Result<Vec<Option<V>>, StoreError>> + Send + 'a>>;
/// A statement for a batch of requests.
type Statement<Q, V> = for<'a> fn(&'a Postgres, &'a [&'a Q]) -> Verdicts<'a, V>;

impl Postgres {
    /// Does what can be done of a batch, and asks what stands against the others. Tries again what
    /// could not be done although nothing stands against it: somebody else was in between.
    ///
    /// # Errors
    /// [`StoreError::Contended`] when others kept coming before a request.
    async fn decide<Q: Sync, V: Send>(
        &self,
        requests: &[Q],
        change: Statement<Q, V>,
        against: Statement<Q, V>,
    ) -> Result<Vec<V>, StoreError> {
        let mut verdicts: Vec<Option<V>> = requests.iter().map(|_| None).collect();
        for statement in [change, against].repeat(DECIDE_TRIES) {
            let open: Vec<usize> =
                (0..requests.len()).filter(|&index| verdicts[index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let asked: Vec<&Q> = open.iter().map(|&index| &requests[index]).collect();
            for (index, verdict) in open.into_iter().zip(statement(self, &asked).await?) {
                verdicts[index] = verdict;
            }
        }
        let unsettled = || StoreError::Contended("a batch of orders".to_owned());
        verdicts.into_iter().map(|verdict| verdict.ok_or_else(unsettled)).collect()
    }
}

#[async_trait]
impl Store for Postgres {
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
        self.read_present().await
    }
    fn cursor_keys(&self) -> &CursorKeys {
        &self.cursor_keys
    }
    async fn read_cursor(&self, text: &str) -> ResumeCursor {
        self.read_signed(text).await
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
        self.known_incarnations().await
    }

    async fn census(&self, own: PublisherId, hears: bool) -> Result<Census, StoreError> {
        self.count_living(own, hears).await
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
        Ok(())
    }
    async fn close(&self) {
        self.liveness.end().await;
        self.backends.give_up();
        // What still runs then ends with this process.
        drop(timeout(CLOSING, self.pool.close()).await);
    }
}
