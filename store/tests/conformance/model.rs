//! Random operations, held against a model that a page can hold.

use std::collections::BTreeMap;

use galley_protocol::{HeroId, IncarnationId, MealId, OrderId, Status, Version};
use galley_store::{CancelVerdict, DeleteVerdict};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::kitchen::{Kitchen, cancel, delete};

crate::on_both! { random_operations_do_what_the_model_does }

/// Of an order: where it stands, its version, and who owns it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Row {
    status: Status,
    version: i32,
    owner: Option<IncarnationId>,
}

struct Model {
    kitchen: Kitchen,
    random: StdRng,
    hero_id: HeroId,
    meal_id: MealId,
    workers: [IncarnationId; 2],
    rows: BTreeMap<OrderId, Row>,
}

async fn random_operations_do_what_the_model_does(kitchen: Kitchen) {
    let seed = rand::random();
    println!("seed {seed}");
    let (hero_id, meal_id) = kitchen.guest().await;
    let workers = [kitchen.worker().await, kitchen.worker().await];
    let mut model = Model { kitchen, random: StdRng::seed_from_u64(seed), hero_id, meal_id, workers, rows: BTreeMap::new() };
    for _ in 0..150 {
        match model.random.random_range(0..7) {
            0 => model.place().await,
            1 => model.claim().await,
            2 => model.complete().await,
            3 => model.hand_back_and_adopt().await,
            4 => model.delete().await,
            _ => model.cancel().await,
        }
    }
    model.compare().await;
}

impl Model {
    /// Some orders, deleted ones and doubles included.
    fn some(&mut self) -> Vec<OrderId> {
        let known: Vec<OrderId> = self.rows.keys().copied().collect();
        let newest = known.len().saturating_sub(30);
        (0..8).filter_map(|_| known[newest..].choose(&mut self.random).copied()).collect()
    }

    fn expected(&mut self) -> Option<Version> {
        if self.random.random_bool(0.5) { Some(Version(self.random.random_range(1..=3))) } else { None }
    }

    fn worker(&mut self) -> IncarnationId {
        self.workers[self.random.random_range(0..2)]
    }

    async fn place(&mut self) {
        for order in self.kitchen.place_many(self.hero_id, self.meal_id, 5).await {
            self.rows.insert(order.id, Row { status: Status::Pending, version: 1, owner: None });
        }
    }

    async fn claim(&mut self) {
        let (ids, worker) = (self.some(), self.worker());
        let claimed: Vec<_> = self.kitchen.claim(worker, &ids).await.iter().map(|claimed| claimed.order.id).collect();
        let mut expected: Vec<_> = ids.into_iter().filter(|id| self.rows[id].status == Status::Pending).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(claimed, expected);
        for id in claimed {
            self.rows.insert(id, Row { status: Status::InProgress, version: 2, owner: Some(worker) });
        }
    }

    async fn complete(&mut self) {
        let (ids, worker) = (self.some(), self.worker());
        let mut completed: Vec<_> =
            self.kitchen.store.complete(worker, &ids).await.expect("completions").iter().map(|order| order.id).collect();
        completed.sort_unstable();
        let mut expected: Vec<_> = ids.into_iter().filter(|id| self.rows[id].owner == Some(worker)).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(completed, expected);
        for id in completed {
            self.rows.insert(id, Row { status: Status::Completed, version: 3, owner: None });
        }
    }

    /// One adoption each only: the cap has its own test.
    async fn hand_back_and_adopt(&mut self) {
        let [one, other] = self.workers;
        let held = self.rows.values().filter(|row| row.owner == Some(one)).count();
        assert_eq!(self.kitchen.store.hand_back(one).await.expect("a count"), held as u64);
        let adopted = self.kitchen.store.adopt(other, 1_000).await.expect("adoptions");
        assert_eq!(adopted.len(), held);
        for adopted in adopted {
            assert_eq!(self.rows[&adopted.order.id].owner, Some(one));
            self.rows.insert(adopted.order.id, Row { status: Status::InProgress, version: 2, owner: Some(other) });
        }
    }

    async fn cancel(&mut self) {
        let mut requests: Vec<_> = self.some().into_iter().map(cancel).collect();
        for request in &mut requests {
            request.expected = self.expected();
        }
        let verdicts = self.kitchen.store.cancel(&requests).await.expect("verdicts");
        let mut winners = vec![false; requests.len()];
        for (request, wins) in requests.iter().zip(&mut winners) {
            let row = self.rows.get_mut(&request.order_id).expect("a known order");
            if row.version > 0 && row.status.is_active() && request.expected.is_none_or(|expected| expected.0 == row.version) {
                *row = Row { status: Status::Cancelled, version: row.version + 1, owner: None };
                *wins = true;
            }
        }
        for ((request, verdict), wins) in requests.iter().zip(verdicts).zip(winners) {
            let row = self.rows[&request.order_id];
            let stale = request.expected.is_some_and(|expected| expected.0 != row.version);
            match verdict {
                CancelVerdict::NotFound => assert_eq!(row.version, 0),
                CancelVerdict::Cancelled(order) => assert_eq!((wins, order.version.0), (true, row.version)),
                CancelVerdict::Stale(order) => assert_eq!((wins, stale, order.version.0), (false, true, row.version)),
                CancelVerdict::AlreadyFinished(order) => assert_eq!((wins, stale, order.status), (false, false, row.status)),
            }
        }
    }

    async fn delete(&mut self) {
        let requests: Vec<_> = self.some().into_iter().map(delete).collect();
        let verdicts = self.kitchen.store.delete(&requests).await.expect("verdicts");
        for (request, verdict) in requests.iter().zip(verdicts) {
            let row = self.rows.get_mut(&request.order_id).expect("a known order");
            match verdict {
                DeleteVerdict::NotFound => assert_eq!(row.version, 0),
                DeleteVerdict::NotFinished(order) => assert!(row.status.is_active() && order.status == row.status),
                DeleteVerdict::Stale(_) => panic!("no version was expected"),
                DeleteVerdict::Deleted { deleted, .. } => {
                    assert_eq!((row.status.is_active(), deleted.version.0), (false, row.version + 1));
                    row.version = 0;
                }
            }
        }
    }

    async fn compare(&self) {
        for (id, row) in &self.rows {
            let found = self.kitchen.order(*id).await.map(|order| (order.status, order.version.0));
            assert_eq!(found, (row.version > 0).then_some((row.status, row.version)), "{id}");
        }
    }
}
