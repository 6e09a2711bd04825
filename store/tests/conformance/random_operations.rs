//! Random operations on the real store, compared with the [`reference`](crate::reference). A
//! failing sequence is shrunk to the fewest operations that still fail.

use std::sync::atomic::Ordering;
use std::time::Duration;

use galley_protocol::{
    CancelOrder, DeleteOrder, HeroId, IncarnationId, ListOrders, MealId, OfHero, Order, OrderId,
    Status, Version,
};
use galley_store::{
    CancelVerdict, Claim, ClaimFrom, Claimed, DeleteVerdict, IdRange, PlaceVerdict,
};
use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use tokio::runtime::Handle;

use crate::reference::{Asked, Operation, Orders, WORKERS};
use crate::test_store::{LONG, TestStore, cancel, request};

/// The number of sequences, and the most operations in one.
const CASES: u32 = 12;
const OPERATIONS: usize = 60;

on_both!(random_operations_do_what_the_reference_does);
async fn random_operations_do_what_the_reference_does(test: TestStore) {
    let runtime = Handle::current();
    let property = move || {
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            max_shrink_iters: 500,
            ..Config::default()
        };
        TestRunner::new(config).run(
            &Orders::sequential_strategy(1..OPERATIONS),
            |(_, operations, seen)| {
                runtime.block_on(async {
                    let mut trial = Trial::new(&test).await;
                    for operation in &operations {
                        if let Some(seen) = &seen {
                            seen.fetch_add(1, Ordering::Relaxed);
                        }
                        trial.carry_out(operation).await;
                    }
                    trial.end().await;
                });
                Ok(())
            },
        )
    };
    if let Err(failure) = tokio::task::spawn_blocking(property).await.expect("the property ran") {
        panic!("{failure}");
    }
}

/// The run of one sequence, with its own hero and workers.
struct Trial<'a> {
    test: &'a TestStore,
    hero_id: HeroId,
    meal_id: MealId,
    workers: Vec<IncarnationId>,
    /// The id of each order in the reference.
    ids: Vec<OrderId>,
    reference: Orders,
}

impl<'a> Trial<'a> {
    async fn new(test: &'a TestStore) -> Self {
        tidy(test).await;
        let (hero_id, meal_id) = test.guest().await;
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            workers.push(test.worker().await);
        }
        Self { test, hero_id, meal_id, workers, ids: Vec::new(), reference: Orders::default() }
    }

    async fn carry_out(&mut self, operation: &Operation) {
        let expected = self.reference.carry_out(operation);
        let store = &self.test.store;
        match operation {
            Operation::Place(keys) => self.place(keys, &expected).await,
            Operation::Claim { worker, orders } => {
                let ids = self.ids(orders);
                self.claim(*worker, ClaimFrom::Entries(&ids), &expected).await;
            }
            Operation::Sweep { worker, limit } => {
                self.claim(
                    *worker,
                    ClaimFrom::Oldest {
                        ids: IdRange::default(),
                        age: Duration::ZERO,
                        limit: *limit,
                    },
                    &expected,
                )
                .await;
            }
            Operation::Complete { worker, orders } => {
                let completed = store
                    .complete(self.workers[*worker], &self.ids(orders))
                    .await
                    .expect("completions");
                self.compare(completed, &expected);
            }
            Operation::HandBack(worker) => {
                let count = store.hand_back(self.workers[*worker]).await.expect("a count");
                assert_eq!(count, expected.len() as u64);
            }
            Operation::Adopt { worker, limit } => {
                let adopted = store.adopt(self.workers[*worker], *limit).await.expect("adoptions");
                self.compare(orders(adopted), &expected);
            }
            Operation::Cancel(asked) => self.cancel(asked, &expected).await,
            Operation::Delete(asked) => self.delete(asked, &expected).await,
        }
    }

    fn ids(&self, orders: &[usize]) -> Vec<OrderId> {
        orders.iter().map(|&n| self.ids[n]).collect()
    }

    /// Asserts that the store changed the same orders as the reference, to the same states.
    fn compare(&self, mut changed: Vec<Order>, expected: &[Option<usize>]) {
        changed.sort_by_key(|order| order.id);
        let changed: Vec<_> =
            changed.iter().map(|order| (order.id, order.status, order.version.0)).collect();
        let expected = expected
            .iter()
            .flatten()
            .map(|&n| (self.ids[n], self.reference.rows[n].status, self.reference.rows[n].version));
        assert_eq!(changed, expected.collect::<Vec<_>>());
    }

    async fn place(&mut self, keys: &[Option<u8>], expected: &[Option<usize>]) {
        let place = |key: &Option<u8>| {
            let key = key.map(|key| key.to_string());
            request(self.hero_id, self.meal_id, key.as_deref())
        };
        let requests: Vec<_> = keys.iter().map(place).collect();
        let verdicts = self.test.store.place(&requests).await.expect("verdicts");
        for (verdict, n) in verdicts.into_iter().zip(expected.iter().flatten()) {
            match &verdict {
                PlaceVerdict::Placed(order) => {
                    assert_eq!((*n, order.version), (self.ids.len(), Version(1)));
                    self.ids.push(order.id);
                }
                PlaceVerdict::Replayed(order) => {
                    let row = self.reference.rows[*n];
                    assert_eq!((order.id, order.status), (self.ids[*n], row.status));
                }
                PlaceVerdict::KeyReused
                | PlaceVerdict::HeroNotFound
                | PlaceVerdict::MealNotFound => panic!("{verdict:?}"),
            }
        }
        assert_eq!(self.ids.len(), self.reference.rows.len());
    }

    async fn claim(&self, worker: usize, from: ClaimFrom<'_>, expected: &[Option<usize>]) {
        let claim = Claim { from, delay: LONG..=LONG };
        let claimed = self.test.store.claim(self.workers[worker], claim).await.expect("claims");
        self.compare(orders(claimed), expected);
    }

    async fn cancel(&self, asked: &[Asked], expected: &[Option<usize>]) {
        let request = |&(n, expected): &Asked| {
            let (order_id, expected) = (self.ids[n], expected.map(Version));
            OfHero { hero_id: None, command: CancelOrder { order_id, reason: None, expected } }
        };
        let requests: Vec<_> = asked.iter().map(request).collect();
        let verdicts = self.test.store.cancel(&requests).await.expect("verdicts");
        let outcomes = verdicts.into_iter().map(|verdict| match verdict {
            CancelVerdict::NotFound => EndVerdict::NotFound,
            CancelVerdict::Cancelled(order) => EndVerdict::Done(order.version),
            CancelVerdict::Stale(order) => EndVerdict::Stale(order.version),
            CancelVerdict::AlreadyFinished(order) => EndVerdict::Refused(order.status),
        });
        self.judge(outcomes, asked, expected);
    }

    async fn delete(&self, asked: &[Asked], expected: &[Option<usize>]) {
        let request = |&(n, expected): &Asked| {
            let (order_id, expected) = (self.ids[n], expected.map(Version));
            OfHero { hero_id: None, command: DeleteOrder { order_id, expected } }
        };
        let requests: Vec<_> = asked.iter().map(request).collect();
        let verdicts = self.test.store.delete(&requests).await.expect("verdicts");
        let outcomes = verdicts.into_iter().map(|verdict| match verdict {
            DeleteVerdict::NotFound => EndVerdict::NotFound,
            DeleteVerdict::Deleted { deleted, .. } => EndVerdict::Done(deleted.version),
            DeleteVerdict::Stale(order) => EndVerdict::Stale(order.version),
            DeleteVerdict::NotFinished(order) => EndVerdict::Refused(order.status),
        });
        self.judge(outcomes, asked, expected);
    }

    /// Compares the outcomes of cancels or deletes with the reference, which has carried them out
    /// before.
    fn judge(
        &self,
        outcomes: impl Iterator<Item = EndVerdict>,
        asked: &[Asked],
        expected: &[Option<usize>],
    ) {
        for ((outcome, (n, version)), won) in outcomes.zip(asked).zip(expected) {
            let row = self.reference.rows[*n];
            let stale = version.is_some_and(|version| version != row.version);
            match outcome {
                EndVerdict::NotFound => assert!(row.deleted && won.is_none()),
                EndVerdict::Done(version) => {
                    assert_eq!((won.is_some(), version.0), (true, row.version));
                }
                EndVerdict::Stale(version) => {
                    assert_eq!((won.is_some(), stale, version.0), (false, true, row.version));
                }
                EndVerdict::Refused(status) => {
                    assert_eq!((won.is_some(), stale, status), (false, false, row.status));
                }
            }
        }
    }

    /// Asserts that every order equals its row in the reference.
    async fn end(self) {
        for (id, row) in self.ids.iter().zip(&self.reference.rows) {
            let found = self.test.order(*id).await.map(|order| (order.status, order.version.0));
            assert_eq!(found, (!row.deleted).then_some((row.status, row.version)), "{id}");
        }
    }
}

/// The outcome of a cancel or a delete for one order.
enum EndVerdict {
    NotFound,
    Done(Version),
    Stale(Version),
    Refused(Status),
}

/// Ends the orders that an earlier trial left active, so that there is nothing to claim or adopt.
async fn tidy(test: &TestStore) {
    let status = vec![Status::Pending, Status::InProgress];
    let command = ListOrders { status, limit: 1_000, ..ListOrders::default() };
    let open = test.store.orders(&OfHero { hero_id: None, command }).await.expect("orders");
    let requests: Vec<_> = open.items.into_iter().map(|view| cancel(view.order.id)).collect();
    test.store.cancel(&requests).await.expect("verdicts");
}

fn orders(claimed: Vec<Claimed>) -> Vec<Order> {
    claimed.into_iter().map(|claimed| claimed.order).collect()
}
