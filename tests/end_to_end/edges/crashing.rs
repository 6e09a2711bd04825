//! A service with one process that ends at a fail point, and sockets that watch it.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use galley_tests::json::{id, text, version};
use galley_tests::program::Signal;
use galley_tests::test_stack::Deployment;
use galley_tests::{DispatchQueue, StackBuilder, TestClient, TestProgram, TestStack};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::socket_watcher::{DELETED, OrderState, SocketWatcher};

/// The longest time until a committed change reaches every connected socket, whichever process
/// died.
const PROMISE: Duration = Duration::from_secs(10);

/// The process that ends; an embedded service has only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The second gateway.
    Gateway,
    /// The only worker.
    Worker,
}

/// A service with a hero, a meal, and sockets of the hero.
pub struct Crashing {
    stack: TestStack,
    side: Side,
    point: String,
    failing: TestProgram,
    /// A client of the gateway that is to end, until it has ended; otherwise of the first.
    pub client: TestClient,
    hero: i64,
    meal: i64,
    /// The cursor of a socket from the beginning.
    cursor: String,
    /// A socket at a gateway that survives; `None` if embedded.
    beside: Option<SocketWatcher>,
    /// A socket that resumed with the cursor right after the restart.
    resumed: Option<SocketWatcher>,
    died: Instant,
}

impl Crashing {
    /// Starts everything; the process that is to end comes last.
    pub async fn begin(stack: StackBuilder, side: Side, point: &str) -> Self {
        let is_embedded = stack.deployment == Deployment::Embedded;
        let mut stack = stack.gateways(0).workers(0).start().await;
        let mut client = if is_embedded {
            stack.start_gateway_to_fail(point).await
        } else {
            stack.start_gateway().await
        };
        let (hero, meal) = client.create_hero_and_meal().await;
        let socket = client.connect(hero).await;
        let cursor = text(&socket.welcome, "cursor").to_owned();
        let beside = (!is_embedded).then(|| SocketWatcher::new(socket));
        let failing = match side {
            Side::Worker if !is_embedded => stack.launch_worker_to_fail(point),
            Side::Worker | Side::Gateway => {
                if !is_embedded {
                    stack.start_worker();
                    client = stack.start_gateway_to_fail(point).await;
                }
                stack.gateways.pop().expect("it was just started").program
            }
        };
        let (point, died) = (point.to_owned(), Instant::now());
        Self {
            stack,
            side,
            point,
            failing,
            client,
            hero,
            meal,
            cursor,
            beside,
            resumed: None,
            died,
        }
    }

    /// Places an order under a key; `None` if there is no answer.
    pub async fn place(&self, key: &str) -> Option<i64> {
        let body = json!({"hero_id": self.hero, "meal_id": self.meal});
        let answer =
            self.client.post("/orders", &body).header("Idempotency-Key", key).try_send().await;
        answer.ok().map(|answer| id(&answer.is(202)))
    }

    /// The order that was placed under a key, even if the placement was not answered.
    pub async fn order_of(&self, key: &str) -> i64 {
        let body = json!({"hero_id": self.hero, "meal_id": self.meal});
        let answer = self.client.post("/orders", &body).header("Idempotency-Key", key).await;
        assert_eq!(answer.header("idempotent-replayed"), "true", "{key} was committed");
        id(&answer.is(202))
    }

    /// Waits for the end of the process, which must be at the chosen fail point.
    pub async fn fall(&mut self) {
        let status = self.failing.exit().await;
        self.died = Instant::now();
        assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{}", self.failing.log());
        let (point, _) = self.point.split_once(':').unwrap_or((&self.point, ""));
        self.failing.line(&format!("aborted at the fail point {point}")).await;
    }

    /// Starts the process that a supervisor would start; the hero resumes with its cursor.
    pub async fn restart(&mut self) {
        if self.is_worker() {
            self.stack.start_worker();
        } else {
            self.stack.start_gateway().await;
        }
        self.client = self.stack.client();
        let newest = self.stack.client_of(self.stack.gateways.len() - 1);
        self.resumed = Some(SocketWatcher::new(newest.resume(self.hero, &self.cursor).await));
    }

    /// Starts another process that ends at a fail point.
    pub fn restart_to_fail(&mut self, point: &str) {
        point.clone_into(&mut self.point);
        self.failing = if self.is_worker() {
            self.stack.launch_worker_to_fail(point)
        } else {
            self.stack.launch_gateway_to_fail(point)
        };
    }

    /// The dispatch queue; `None` within one process.
    pub async fn dispatch_queue(&self) -> Option<DispatchQueue> {
        if self.is_embedded() { None } else { Some(self.stack.dispatch_queue().await) }
    }

    /// The current status and version of an order.
    pub async fn state_of(&self, order: i64) -> (String, i64) {
        let order = self.client.order(order).await;
        (text(&order, "status").to_owned(), version(&order))
    }

    /// Waits until the socket at the surviving gateway receives a change that was committed before
    /// the end, within the promised time.
    pub async fn is_seen_in_time(&mut self, order: i64, version: i64) {
        let Some(beside) = &mut self.beside else { return };
        let seen = timeout_at(self.died + PROMISE, beside.until_version(order, version)).await;
        assert!(
            seen.is_ok(),
            "order {order} has version {version}, and a socket beside was not told within {PROMISE:?}"
        );
    }

    /// Waits until every socket knows the final orders and deletions; expects no other orders.
    pub async fn ends_with(&mut self, orders: &[OrderState], deleted: &[(i64, i64)]) {
        let gone = deleted.iter().map(|&(order, version)| (order, DELETED, version));
        let states: Vec<OrderState> = orders.iter().copied().chain(gone).collect();
        for watcher in self.beside.iter_mut().chain(&mut self.resumed) {
            watcher.until(&states).await;
        }
        for gateway in 0..self.stack.gateways.len() {
            let client = self.stack.client_of(gateway);
            let mut stored: Vec<(i64, String, i64)> = Vec::new();
            for order in client.all("/orders").await {
                stored.push((id(&order), text(&order, "status").to_owned(), version(&order)));
            }
            stored.sort_unstable();
            let expected: Vec<_> = orders
                .iter()
                .map(|&(order, status, version)| (order, status.to_owned(), version))
                .collect();
            assert_eq!(stored, expected);
            let late = SocketWatcher::new(client.resume(self.hero, &self.cursor).await);
            assert!(late.was_told(&states), "the first cursor leads to {states:?}");
        }
    }

    fn is_embedded(&self) -> bool {
        self.beside.is_none()
    }

    fn is_worker(&self) -> bool {
        self.side == Side::Worker && !self.is_embedded()
    }
}
