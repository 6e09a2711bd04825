//! A store in memory that fails on command. It has only the methods that a worker uses.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use galley_protocol::frame::{Page, Totals};
use galley_protocol::{
    CancelOrder, DeleteOrder, HeroId, HeroName, HeroRef, IdempotencyKey, IncarnationId, ListOrders,
    MealId, MealName, MealRef, OfHero, Order, OrderId, OrderView, PlaceOrder, Price, PublisherId,
    Reason, Resource, ResumeCursor, Status, Timestamp, Version,
};
use galley_store::{
    CancelVerdict, Census, ChangeError, Changes, ChangesOfAll, ChangesRequest, Claim, ClaimFrom,
    Claimed, Creation, CursorKeys, DeleteVerdict, IdRange, Incarnations, ListPage, MAX_ADOPTIONS,
    Menu, MenuChanges, MenuPosition, PlaceVerdict, Placing, Reading, Result, SignOut, Snapshot,
    SnapshotRequest, States, StoreError, Ticket, Tokens, Upkeep, ViewedOrder, Work,
};
use tokio::sync::watch;

/// A fault on command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShelfFault {
    /// The request is not executed.
    Before,
    /// The request is executed, but its answer is lost.
    After,
    /// The request is refused.
    Refused,
    /// The store panics.
    Panic,
}

/// An order and the columns that only the database has.
#[derive(Clone, Debug)]
pub struct ShelfRow {
    pub order: Order,
    pub owner: Option<IncarnationId>,
    pub due_at: SystemTime,
    pub adoptions: i32,
    pub allergic: bool,
}

/// The store.
#[derive(Default)]
pub struct Shelf {
    state: Mutex<ShelfState>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct ShelfState {
    rows: BTreeMap<OrderId, ShelfRow>,
    living: HashSet<IncarnationId>,
    incarnations: i64,
    /// The faults of the next requests of these kinds.
    faults: Vec<(&'static str, ShelfFault)>,
    away: bool,
}

impl Shelf {
    /// Places orders, the first one with an allergy conflict.
    pub fn place_with_conflict(&self, count: i64) -> Vec<OrderId> {
        let ids = self.place_orders(count, Duration::ZERO);
        self.change(ids[0], |row| row.allergic = true);
        ids
    }

    /// Places orders of this age.
    pub fn place_orders(&self, count: i64, age: Duration) -> Vec<OrderId> {
        let order_time = timestamp(SystemTime::now() - age);
        let mut state = self.state();
        let first = i64::try_from(state.rows.len()).expect("few rows") + 1;
        let ids: Vec<OrderId> =
            (first..first + count).map(|id| OrderId::new(id).expect("an id")).collect();
        for id in &ids {
            let order = Order::placed(
                *id,
                HeroId::new(1).expect("an id"),
                &PlaceOrder::of(MealId::new(1).expect("an id")),
                order_time,
            );
            let row = ShelfRow {
                order,
                owner: None,
                due_at: SystemTime::now(),
                adoptions: 0,
                allergic: false,
            };
            state.rows.insert(*id, row);
        }
        ids
    }

    /// Begins an incarnation and ends it before any worker has seen it.
    pub fn live_a_moment(&self) -> IncarnationId {
        let mut state = self.state();
        state.incarnations += 1;
        IncarnationId::new(state.incarnations).expect("an id")
    }

    /// Changes an order behind the worker's back.
    pub fn change(&self, id: OrderId, change: impl FnOnce(&mut ShelfRow)) {
        change(self.state().rows.get_mut(&id).expect("it was placed"));
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Returns an order in its present state.
    pub fn row(&self, id: OrderId) -> ShelfRow {
        self.state().rows[&id].clone()
    }

    /// Lets the next request of this kind fail.
    pub fn fail(&self, question: &'static str, fault: ShelfFault) {
        self.state().faults.push((question, fault));
    }

    /// Lets all requests fail, or work again.
    pub fn set_away(&self, away: bool) {
        self.state().away = away;
    }

    /// Waits until `is_so` holds for every order.
    pub async fn until_all(&self, ids: &[OrderId], is_so: impl Fn(&ShelfRow) -> bool) {
        let mut changes = self.changes.subscribe();
        let all = async {
            while !ids.iter().all(|id| is_so(&self.row(*id))) {
                changes.changed().await.expect("the shelf is there");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("the orders become so");
    }

    /// Returns true if all commanded faults have happened.
    pub fn has_failed_enough(&self) -> bool {
        self.state().faults.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, ShelfState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Executes a request, unless it must fail.
    fn answer<T>(
        &self,
        question: &'static str,
        act: impl FnOnce(&mut ShelfState) -> T,
    ) -> Result<T> {
        let mut state = self.state();
        let fault = state
            .faults
            .iter()
            .position(|(name, _)| *name == question)
            .map(|at| state.faults.remove(at).1);
        let fault = fault.or(state.away.then_some(ShelfFault::Before));
        let unavailable = || Err(StoreError::Unavailable("on command".to_owned()));
        match fault {
            Some(ShelfFault::Before) => return unavailable(),
            Some(ShelfFault::Refused) => return Err(StoreError::Failed("on command".to_owned())),
            Some(ShelfFault::Panic) => {
                drop(state);
                panic!("on command");
            }
            None | Some(ShelfFault::After) => {}
        }
        let done = act(&mut state);
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
        if fault == Some(ShelfFault::After) { unavailable() } else { Ok(done) }
    }
}

impl ShelfRow {
    /// Claims the order for a worker.
    pub fn claim(&mut self, owner: IncarnationId, delay: Duration) -> Claimed {
        let now = timestamp(SystemTime::now());
        self.order.started_time = Some(now);
        if self.allergic {
            self.order.version = Version(3);
            self.end(Reason::Allergy);
        } else {
            self.order.version = Version(2);
            self.order.status = Status::InProgress;
            self.owner = Some(owner);
            self.due_at = SystemTime::now() + delay;
        }
        self.claimed()
    }

    fn claimed(&self) -> Claimed {
        let due_in = self.due_at.duration_since(SystemTime::now()).unwrap_or_default();
        Claimed { order: self.order.clone(), due_in }
    }

    /// Cancels the order without a new version.
    pub fn end(&mut self, reason: Reason) {
        self.order.status = Status::Cancelled;
        self.order.reason = Some(reason);
        self.order.message = Some(reason.message().to_owned());
        self.order.completed_time = Some(timestamp(SystemTime::now()));
        self.owner = None;
    }
}

pub fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("in range")).expect("in range")
}

#[async_trait]
impl<R: Resource> Menu<R> for Shelf {
    async fn create_once(&self, _: &R::New, _: Option<&IdempotencyKey>) -> Result<Creation<R>> {
        unimplemented!("a worker does not ask this")
    }
    async fn get(&self, _: R::Id) -> Result<Option<R>> {
        unimplemented!("a worker does not ask this")
    }
    async fn list(&self, _: &ListPage) -> Result<Page<R>> {
        unimplemented!("a worker does not ask this")
    }
    async fn update(&self, _: R::Id, _: &R::Patch, _: Option<Version>) -> Result<R, ChangeError> {
        unimplemented!("a worker does not ask this")
    }
    async fn remove(&self, _: R::Id, _: Option<Version>) -> Result<(), ChangeError> {
        unimplemented!("a worker does not ask this")
    }
    async fn changed_since(
        &self,
        _: Option<&MenuPosition>,
        _: Option<R::Id>,
        _: usize,
    ) -> Result<MenuChanges<R>> {
        unimplemented!("a worker does not ask this")
    }
}

#[async_trait]
impl Work for Shelf {
    async fn claim(&self, owner: IncarnationId, claim: Claim<'_>) -> Result<Vec<Claimed>> {
        let delay = *claim.delay.start();
        self.answer("claim", |state| match claim.from {
            ClaimFrom::Entries(ids) => {
                let mut claimed = Vec::new();
                for id in ids {
                    let row =
                        state.rows.get_mut(id).filter(|row| row.order.status == Status::Pending);
                    claimed.extend(row.map(|row| row.claim(owner, delay)));
                }
                claimed
            }
            ClaimFrom::Oldest { ids: IdRange { after, until }, age, limit } => {
                let latest = timestamp(SystemTime::now() - age);
                let is_old = |row: &&mut ShelfRow| {
                    row.order.status == Status::Pending
                        && Some(row.order.id) > after
                        && until.is_none_or(|until| row.order.id <= until)
                        && row.order.order_time <= latest
                };
                state
                    .rows
                    .values_mut()
                    .filter(is_old)
                    .take(limit)
                    .map(|row| row.claim(owner, delay))
                    .collect()
            }
        })
    }

    async fn adopt(&self, owner: IncarnationId, limit: usize) -> Result<Vec<Claimed>> {
        self.answer("adopt", |state| {
            let ShelfState { rows, living, .. } = state;
            let orphan = |row: &&mut ShelfRow| {
                row.order.status == Status::InProgress
                    && row.owner.is_none_or(|owner| !living.contains(&owner))
            };
            let adopt = |row: &mut ShelfRow| {
                if row.adoptions >= MAX_ADOPTIONS {
                    row.order.version = row.order.version.next();
                    row.end(Reason::Undeliverable);
                } else {
                    row.adoptions += 1;
                    row.owner = Some(owner);
                }
                row.claimed()
            };
            rows.values_mut().filter(orphan).take(limit).map(adopt).collect()
        })
    }

    async fn complete(&self, owner: IncarnationId, orders: &[OrderId]) -> Result<Vec<Order>> {
        self.answer("complete", |state| {
            let mut completed = Vec::new();
            for id in orders {
                let row = state.rows.get_mut(id).filter(|row| row.owner == Some(owner));
                completed.extend(row.map(|row| {
                    assert_eq!(row.order.status, Status::InProgress);
                    row.order.status = Status::Completed;
                    row.order.version = row.order.version.next();
                    row.order.completed_time = Some(timestamp(SystemTime::now()));
                    row.owner = None;
                    row.order.clone()
                }));
            }
            completed
        })
    }

    async fn hand_back(&self, owner: IncarnationId) -> Result<u64> {
        self.answer("hand_back", |state| {
            let mine = state.rows.values_mut().filter(|row| row.owner == Some(owner));
            mine.map(|row| row.owner = None).count() as u64
        })
    }

    async fn enlist(&self) -> Result<IncarnationId> {
        self.answer("enlist", |state| {
            state.incarnations += 1;
            let id = IncarnationId::new(state.incarnations).expect("an id");
            state.living.insert(id);
            id
        })
    }

    async fn incarnations(&self) -> Result<Incarnations> {
        self.answer("incarnations", |state| Incarnations {
            living: state.living.iter().copied().collect(),
            newest: IncarnationId::new(state.incarnations).ok(),
        })
    }
}

#[async_trait]
impl Upkeep for Shelf {
    async fn migrate(&self) -> Result<()> {
        unimplemented!("a worker does not ask this")
    }
    async fn ping(&self) -> Result<()> {
        unimplemented!("a worker does not ask this")
    }

    async fn census(&self, own: PublisherId, receiving: bool) -> Result<Census> {
        self.answer("census", |_| Census {
            living: [own].into(),
            hearing: receiving.then_some(own).into_iter().collect(),
            safe: ResumeCursor::EXPIRED,
            next: 0,
        })
    }

    fn low_watermark(&self) -> OrderId {
        OrderId::new(1).expect("an id")
    }

    async fn maintain(&self) -> Result<()> {
        self.answer("maintain", |_| ())
    }

    async fn checkpoint(&self) -> Result<()> {
        unimplemented!("a worker does not ask this")
    }
    async fn close(&self) {}
}

#[async_trait]
impl Reading for Shelf {
    async fn order(&self, id: OrderId) -> Result<Option<ViewedOrder>> {
        self.answer("order", |state| {
            state.rows.get(&id).map(|row| {
                let view = OrderView {
                    order: row.order.clone(),
                    hero: HeroRef {
                        id: row.order.hero_id,
                        name: HeroName::parse("Hero").expect("a name"),
                    },
                    meal: MealRef {
                        id: row.order.meal_id,
                        name: MealName::parse("Meal").expect("a name"),
                        price: Price::from_hundredths(100).expect("a price"),
                    },
                };
                ViewedOrder { view, hero_version: Version::FIRST }
            })
        })
    }

    async fn orders(&self, _: &OfHero<ListOrders>) -> Result<Page<OrderView>> {
        unimplemented!("a worker does not ask this")
    }
    async fn totals(&self) -> Result<Totals> {
        unimplemented!("a worker does not ask this")
    }
    async fn oldest_pending(&self) -> Result<Option<Duration>> {
        unimplemented!("a worker does not ask this")
    }

    async fn open_orders(&self, _: HeroId, _: usize) -> Result<usize> {
        unimplemented!("a worker does not ask this")
    }
    async fn deleted_heroes(&self, _: Option<Duration>) -> Result<Vec<HeroId>> {
        unimplemented!("a worker does not ask this")
    }
    async fn snapshots(&self, _: &[SnapshotRequest]) -> Result<Vec<Option<Snapshot>>> {
        unimplemented!("a worker does not ask this")
    }
    async fn changes(&self, _: &[ChangesRequest]) -> Result<Vec<Changes>> {
        unimplemented!("a worker does not ask this")
    }
    async fn changes_of_all(
        &self,
        _: ResumeCursor,
        _: Option<OrderId>,
        _: usize,
    ) -> Result<ChangesOfAll> {
        unimplemented!("a worker does not ask this")
    }
    async fn states(&self, _: &[Vec<OrderId>]) -> Result<Vec<States>> {
        unimplemented!("a worker does not ask this")
    }
    async fn present(&self) -> Result<ResumeCursor> {
        unimplemented!("no worker asks for it")
    }
    fn reads_at_once(&self) -> usize {
        unimplemented!("no worker asks for it")
    }
    fn cursor_keys(&self) -> &CursorKeys {
        unimplemented!("no worker asks for it")
    }
    async fn read_cursor(&self, _: &str) -> ResumeCursor {
        unimplemented!("no worker asks for it")
    }
}

#[async_trait]
impl Tokens for Shelf {
    async fn sign_out(&self, _: HeroId) -> Result<Option<SignOut>> {
        unimplemented!("a worker does not ask this")
    }
    async fn sign_outs(&self, _: Duration) -> Result<Vec<SignOut>> {
        unimplemented!("a worker does not ask this")
    }
    async fn keep_ticket(&self, _: &str, _: &Ticket) -> Result<()> {
        unimplemented!("a worker does not ask this")
    }
    async fn take_ticket(&self, _: &str) -> Result<Option<Ticket>> {
        unimplemented!("a worker does not ask this")
    }
}

#[async_trait]
impl Placing for Shelf {
    async fn place(&self, _: &[OfHero<PlaceOrder, HeroId>]) -> Result<Vec<PlaceVerdict>> {
        unimplemented!("a worker does not ask this")
    }
    async fn cancel(&self, _: &[OfHero<CancelOrder>]) -> Result<Vec<CancelVerdict>> {
        unimplemented!("a worker does not ask this")
    }
    async fn delete(&self, _: &[OfHero<DeleteOrder>]) -> Result<Vec<DeleteVerdict>> {
        unimplemented!("a worker does not ask this")
    }
}
