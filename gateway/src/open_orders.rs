//! The limit on the orders of one hero that have not ended, `GALLEY_MAX_OPEN_ORDERS_PER_HERO`.
//!
//! The database alone knows how many there are. A count costs a statement, so a gateway places at
//! most a sixteenth of the limit for a hero between two counts. At the limit it first waits for its
//! own orders that are not stored yet. Other gateways may place meanwhile: all together exceed the
//! limit by at most a sixteenth, or one order, for each gateway. At the limit a repetition of an
//! order is refused as well.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use galley_protocol::{HeroId, Problem, ProblemType, Sentence};
use galley_store::Store;
use tokio::sync::{Mutex, Notify};

use crate::limits::rate::now;
use crate::limits::{self, BoundedMap, Forgettable};
use crate::store_problems::problem;

/// The parts of the limit. One of them is placed without a count.
const PARTS: usize = 16;
/// How long a hero at the limit is refused without another count.
const FULL_FOR_MS: u64 = 1_000;
/// How long an unused budget is remembered, in nanoseconds.
const REMEMBERED: u64 = 600_000_000_000;
/// The heroes that are counted at once.
const COUNTS: usize = 64;

pub struct OpenOrders {
    most: usize,
    store: Arc<dyn Store>,
    budgets: BoundedMap<HeroId, OrderBudget>,
    /// Held during a count, so that the concurrent requests of a hero cause one count.
    counts: [Mutex<()>; COUNTS],
}

/// The orders that a hero may place before the next count.
#[derive(Debug, Default)]
struct OrderBudget {
    /// `None` before the first order.
    left: Option<usize>,
    /// True if the orders are being counted, or have to be.
    is_due: bool,
    /// The moment until which no order is placed, because the last count left no room.
    full_until: u64,
    used_at: u64,
    pending: Arc<PendingOrders>,
}

/// The orders of a hero that this gateway is placing.
#[derive(Debug, Default)]
struct PendingOrders {
    count: AtomicUsize,
    none: Notify,
}

/// An order that may not be stored yet, if there is a limit. Dropped with its verdict.
#[derive(Debug)]
pub struct PendingOrder(Option<Arc<PendingOrders>>);

/// The answer of a budget.
enum BudgetVerdict {
    Taken(PendingOrder),
    MustCount { left: usize, pending: Arc<PendingOrders> },
    Full,
}

impl Forgettable for OrderBudget {
    fn as_new_at(&self) -> u64 {
        self.used_at + REMEMBERED
    }
}

impl OpenOrders {
    /// Returns the limit of `most` open orders, or of any number for `usize::MAX`.
    #[must_use]
    pub fn new(most: usize, store: Arc<dyn Store>) -> Arc<Self> {
        let counts = std::array::from_fn(|_| Mutex::default());
        Arc::new(Self { most, store, budgets: BoundedMap::default(), counts })
    }

    /// Takes one order of the budget of this hero. `None` if its orders must be counted first. When
    /// half of the budget is used one order counts, and the others go on meanwhile.
    pub fn take(&self, hero_id: HeroId) -> Option<PendingOrder> {
        if self.most == usize::MAX {
            return Some(PendingOrder(None));
        }
        let (now, part) = (now(), self.most / PARTS);
        self.budgets.with(hero_id, now, |budget| {
            budget.used_at = now;
            let left = *budget.left.get_or_insert(part);
            if part > 1 && left == part / 2 && !budget.is_due {
                budget.is_due = true;
                return None;
            }
            budget.take()
        })
    }

    /// Counts the open orders of this hero if necessary, and takes one order of the new budget.
    ///
    /// # Errors
    /// `too-many-open-orders`, or a problem of the store.
    pub async fn count(&self, hero_id: HeroId) -> Result<PendingOrder, Problem> {
        let count = usize::try_from(hero_id.get()).unwrap_or_default() % COUNTS;
        let _turn = self.counts[count].lock().await;
        let part = (self.most / PARTS).max(1);
        loop {
            let now = now();
            let (left, pending) = match self.budgets.with(hero_id, now, |budget| budget.ask(now)) {
                BudgetVerdict::Taken(order) => return Ok(order),
                BudgetVerdict::Full => return Err(self.too_many()),
                BudgetVerdict::MustCount { left, pending } => (left, pending),
            };
            if left == 0 {
                // The budget is used up, so no further order is taken meanwhile.
                pending.none().await;
            }
            // Orders that are under way may be stored or not: they count twice.
            let under_way = pending.count.load(Ordering::Relaxed);
            let open = self.store.open_orders(hero_id, self.most).await;
            let open = open.map_err(|error| problem(&error))?;
            self.budgets.with(hero_id, now, |budget| {
                let taken = left.saturating_sub(budget.left.unwrap_or_default());
                let room = self.most.saturating_sub(open + under_way + taken);
                budget.left = Some(room.min(part));
                budget.is_due = false;
                if left == 0 && room == 0 {
                    budget.full_until = now + FULL_FOR_MS * 1_000_000;
                }
            });
        }
    }

    fn too_many(&self) -> Problem {
        limits::count("open-orders");
        Problem::new(ProblemType::TooManyOpenOrders)
            .with_detail(Sentence::OpenOrders(self.most))
            .with_retry_after(FULL_FOR_MS)
    }
}

impl OrderBudget {
    /// Takes one of the orders that are left.
    fn take(&mut self) -> Option<PendingOrder> {
        self.left = Some(self.left?.checked_sub(1)?);
        self.pending.count.fetch_add(1, Ordering::Relaxed);
        Some(PendingOrder(Some(Arc::clone(&self.pending))))
    }

    /// Takes an order, unless the orders must be counted before.
    fn ask(&mut self, now: u64) -> BudgetVerdict {
        let order = if self.is_due { None } else { self.take() };
        match order {
            Some(order) => BudgetVerdict::Taken(order),
            None if !self.is_due && now < self.full_until => BudgetVerdict::Full,
            None => BudgetVerdict::MustCount {
                left: self.left.unwrap_or_default(),
                pending: Arc::clone(&self.pending),
            },
        }
    }
}

impl PendingOrders {
    /// Waits until there is none.
    async fn none(&self) {
        loop {
            let mut none = pin!(self.none.notified());
            none.as_mut().enable();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for PendingOrder {
    fn drop(&mut self) {
        if let Some(pending) = &self.0
            && pending.count.fetch_sub(1, Ordering::Release) == 1
        {
            pending.none.notify_waiters();
        }
    }
}
