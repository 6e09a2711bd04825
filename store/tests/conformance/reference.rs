//! The reference for random operations: a model of orders that is short enough to be checked by
//! reading.
//!
//! Orders, workers and keys are numbers here, because the reference does not know the ids of the
//! database.

use std::collections::BTreeMap;

use galley_protocol::Status;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// The number of workers.
pub(crate) const WORKERS: usize = 2;

/// The number of newest orders among which operations choose, so that they affect the same ones.
const NEWEST: usize = 12;

/// An order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ReferenceRow {
    pub(crate) status: Status,
    pub(crate) version: i32,
    pub(crate) owner: Option<usize>,
    pub(crate) deleted: bool,
}

/// All orders in the order of placing, and the idempotency keys in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    pub(crate) rows: Vec<ReferenceRow>,
    pub(crate) keys: BTreeMap<u8, usize>,
}

/// A request for an order, with the version that it expects.
pub(crate) type Asked = (usize, Option<i32>);

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Place(Vec<Option<u8>>),
    Claim { worker: usize, orders: Vec<usize> },
    Sweep { worker: usize, limit: usize },
    Complete { worker: usize, orders: Vec<usize> },
    HandBack(usize),
    Adopt { worker: usize, limit: usize },
    Cancel(Vec<Asked>),
    Delete(Vec<Asked>),
}

impl Orders {
    /// Carries out an operation. Returns the changed orders in their order; for requests, one entry
    /// each, with the order if the request won.
    pub(crate) fn carry_out(&mut self, operation: &Operation) -> Vec<Option<usize>> {
        match operation {
            Operation::Place(keys) => keys.iter().map(|key| Some(self.place(*key))).collect(),
            Operation::Claim { worker, orders } => self.change(
                |n, row| orders.contains(&n) && row.status == Status::Pending,
                |row| {
                    *row = ReferenceRow {
                        status: Status::InProgress,
                        version: row.version + 1,
                        owner: Some(*worker),
                        ..*row
                    }
                },
                usize::MAX,
            ),
            Operation::Sweep { worker, limit } => self.change(
                |_, row| row.status == Status::Pending,
                |row| {
                    *row = ReferenceRow {
                        status: Status::InProgress,
                        version: row.version + 1,
                        owner: Some(*worker),
                        ..*row
                    }
                },
                *limit,
            ),
            Operation::Complete { worker, orders } => self.change(
                |n, row| orders.contains(&n) && row.owner == Some(*worker),
                |row| {
                    *row = ReferenceRow {
                        status: Status::Completed,
                        version: row.version + 1,
                        owner: None,
                        ..*row
                    }
                },
                usize::MAX,
            ),
            Operation::HandBack(worker) => {
                self.change(|_, row| row.owner == Some(*worker), |row| row.owner = None, usize::MAX)
            }
            Operation::Adopt { worker, limit } => self.change(
                |_, row| row.status == Status::InProgress && row.owner.is_none(),
                |row| row.owner = Some(*worker),
                *limit,
            ),
            Operation::Cancel(asked) => asked.iter().map(|asked| self.cancel(*asked)).collect(),
            Operation::Delete(asked) => asked.iter().map(|asked| self.delete(*asked)).collect(),
        }
    }

    fn place(&mut self, key: Option<u8>) -> usize {
        if let Some(known) = key.and_then(|key| self.keys.get(&key)) {
            return *known;
        }
        let n = self.rows.len();
        self.rows.push(ReferenceRow {
            status: Status::Pending,
            version: 1,
            owner: None,
            deleted: false,
        });
        self.keys.extend(key.map(|key| (key, n)));
        n
    }

    fn change(
        &mut self,
        which: impl Fn(usize, &ReferenceRow) -> bool,
        how: impl Fn(&mut ReferenceRow),
        limit: usize,
    ) -> Vec<Option<usize>> {
        let chosen: Vec<usize> =
            (0..self.rows.len()).filter(|&n| which(n, &self.rows[n])).take(limit).collect();
        for &n in &chosen {
            how(&mut self.rows[n]);
        }
        chosen.into_iter().map(Some).collect()
    }

    fn cancel(&mut self, (n, expected): Asked) -> Option<usize> {
        let row = &mut self.rows[n];
        let wins =
            row.status.is_active() && expected.is_none_or(|expected| expected == row.version);
        wins.then(|| {
            *row = ReferenceRow {
                status: Status::Cancelled,
                version: row.version + 1,
                owner: None,
                ..*row
            };
            n
        })
    }

    fn delete(&mut self, (n, expected): Asked) -> Option<usize> {
        let row = &mut self.rows[n];
        let wins = !row.status.is_active()
            && !row.deleted
            && expected.is_none_or(|expected| expected == row.version);
        wins.then(|| {
            *row = ReferenceRow { version: row.version + 1, deleted: true, ..*row };
            n
        })
    }
}

impl ReferenceStateMachine for Orders {
    type State = Self;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(orders: &Self) -> BoxedStrategy<Operation> {
        let place = vec(option::weighted(0.3, 0..6_u8), 1..5).prop_map(Operation::Place);
        let count = orders.rows.len();
        if count == 0 {
            return place.boxed();
        }
        let some = move || vec(count.saturating_sub(NEWEST)..count, 1..8);
        let asked =
            move || vec((count.saturating_sub(NEWEST)..count, option::weighted(0.4, 1..=4)), 1..6);
        prop_oneof![
            3 => place,
            3 => (0..WORKERS, some()).prop_map(|(worker, orders)| Operation::Claim { worker, orders }),
            1 => (0..WORKERS, 1..6_usize).prop_map(|(worker, limit)| Operation::Sweep { worker, limit }),
            3 => (0..WORKERS, some()).prop_map(|(worker, orders)| Operation::Complete { worker, orders }),
            1 => (0..WORKERS).prop_map(Operation::HandBack),
            2 => (0..WORKERS, 1..6_usize).prop_map(|(worker, limit)| Operation::Adopt { worker, limit }),
            2 => asked().prop_map(Operation::Cancel),
            2 => asked().prop_map(Operation::Delete),
        ]
        .boxed()
    }

    fn apply(mut orders: Self, operation: &Operation) -> Self {
        orders.carry_out(operation);
        orders
    }

    /// Shrinking removes operations, and with them orders that later operations refer to.
    fn preconditions(orders: &Self, operation: &Operation) -> bool {
        let known = |n: &usize| *n < orders.rows.len();
        match operation {
            Operation::Claim { orders, .. } | Operation::Complete { orders, .. } => {
                orders.iter().all(known)
            }
            Operation::Cancel(asked) | Operation::Delete(asked) => {
                asked.iter().all(|(n, _)| known(n))
            }
            Operation::Place(_)
            | Operation::Sweep { .. }
            | Operation::HandBack(_)
            | Operation::Adopt { .. } => true,
        }
    }
}
