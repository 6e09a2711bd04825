//! A hero who places, cancels, deletes and reads orders, over REST at either gateway and over a
//! socket.
//!
//! Each actor is one task, with one request at a time. A placement with a key is repeated with the
//! same key until it is answered. The outcome of any other request without an answer stays unknown.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::hero_listener::{Habit, HeroListener, PATIENCE};
use super::record::{Cast, ClientAnswer, Deed, RecordedEvent};
use crate::install_tls_provider;

/// The milliseconds between two requests, and before a request is repeated.
const PAUSE: std::ops::Range<u64> = 20..160;
const REPEAT_PAUSE: std::ops::Range<u64> = 100..400;
/// The repetitions of a placement at most: longer than any fault lasts. Then its outcome stays
/// unknown.
const MAX_REPEATS: usize = 200;
/// The orders that a hero remembers; at the bound the oldest is forgotten.
const MAX_KNOWN: usize = 24;

/// A hero who orders.
pub struct Actor {
    hero: i64,
    meals: [i64; 2],
    habit: Habit,
    listener: HeroListener,
    http: reqwest::Client,
    random: StdRng,
    known: Vec<i64>,
    keys: usize,
}

impl Actor {
    /// An actor for the hero of this listener.
    #[must_use]
    pub fn new(scene: &Cast, listener: HeroListener, habit: Habit, seed: u64) -> Self {
        install_tls_provider();
        let http =
            reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let random = StdRng::seed_from_u64(seed);
        let meals = [scene.meal, scene.forbidden];
        Self {
            hero: listener.hero,
            meals,
            habit,
            listener,
            http,
            random,
            known: Vec::new(),
            keys: 0,
        }
    }

    /// Acts until the crowd is calm, and finishes the request under way.
    pub async fn run(mut self) {
        while !*self.habit.calm.borrow() {
            let pause = self.random.random_range(PAUSE);
            sleep(Duration::from_millis(pause)).await;
            self.act().await;
        }
    }

    async fn act(&mut self) {
        let over_socket = self.random.random_bool(0.5);
        let some = if self.known.is_empty() {
            None
        } else {
            Some(self.random.random_range(0..self.known.len()))
        };
        match (self.random.random_range(0..100), some) {
            (0..50, _) | (_, None) => self.place(over_socket).await,
            (50..65, Some(_)) => {
                // The newest may still be open.
                let order = *self.known.last().expect("some are known");
                self.ask(over_socket, Deed::Cancel(order)).await;
            }
            (65..80, Some(at)) => {
                let order = self.known[at];
                let deed = if over_socket { Deed::Delete(order) } else { Deed::End(order) };
                self.ask(over_socket, deed).await;
            }
            (80..95, Some(at)) => drop(self.ask(over_socket, Deed::Get(self.known[at])).await),
            (_, Some(_)) => drop(self.ask(over_socket, Deed::List).await),
        }
    }

    async fn place(&mut self, over_socket: bool) {
        let meal = self.meals[usize::from(self.random.random_bool(0.1))];
        let key = self.random.random_bool(0.6).then(|| {
            self.keys += 1;
            format!("{}-{}", self.hero, self.keys)
        });
        let repeats = if key.is_some() { MAX_REPEATS } else { 0 };
        for _ in 0..=repeats {
            let answer = self.ask(over_socket, Deed::Place { meal, key: key.clone() }).await;
            if let ClientAnswer::Told { status: 200 | 202, body } = answer {
                let order = if over_socket { &body["order"] } else { &body };
                self.known.extend(order["id"].as_i64());
                if self.known.len() > MAX_KNOWN {
                    self.known.remove(0);
                }
                return;
            }
            let pause = self.random.random_range(REPEAT_PAUSE);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn ask(&mut self, over_socket: bool, deed: Deed) -> ClientAnswer {
        let gateway = self.random.random_range(0..self.habit.gateways.len());
        let request =
            self.habit.recorder.ask(self.hero, (!over_socket).then_some(gateway), deed.clone());
        let answer = if over_socket {
            self.listener.ask(frame(&deed)).await
        } else {
            self.over_rest(gateway, &deed).await
        };
        self.habit.recorder.note(RecordedEvent::Answered { request, answer: answer.clone() });
        answer
    }

    async fn over_rest(&self, gateway: usize, deed: &Deed) -> ClientAnswer {
        let request = |method: Method, path: String| {
            self.http.request(method, format!("{}{path}", self.habit.gateways[gateway]))
        };
        let request = match deed {
            Deed::Place { meal, key } => {
                let request = request(Method::POST, "/orders".to_owned());
                let request = request.json(&json!({"hero_id": self.hero, "meal_id": meal}));
                key.iter().fold(request, |request, key| request.header("Idempotency-Key", key))
            }
            Deed::Cancel(order) => request(Method::POST, format!("/orders/{order}/cancel")),
            Deed::End(order) | Deed::Delete(order) => {
                request(Method::DELETE, format!("/orders/{order}"))
            }
            Deed::Get(order) => request(Method::GET, format!("/orders/{order}")),
            Deed::List => request(Method::GET, format!("/heroes/{}/orders?limit=20", self.hero)),
        };
        let whole = async {
            let response = request.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.text().await?))
        };
        match whole.await {
            Ok((status, text)) => told(status, &text),
            Err(error) => ClientAnswer::Unknown(error.to_string()),
        }
    }
}

fn told(status: StatusCode, text: &str) -> ClientAnswer {
    let body = if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(text) };
    match body {
        Ok(body) => ClientAnswer::Told { status: status.as_u16(), body },
        Err(error) => ClientAnswer::Unknown(format!("{error}: {text}")),
    }
}

/// The command of a request.
fn frame(deed: &Deed) -> Value {
    match deed {
        Deed::Place { meal, key: None } => json!({"type": "place", "meal_id": meal}),
        Deed::Place { meal, key: Some(key) } => {
            json!({"type": "place", "meal_id": meal, "key": key})
        }
        Deed::Cancel(order) => json!({"type": "cancel", "order_id": order}),
        Deed::End(order) | Deed::Delete(order) => json!({"type": "delete", "order_id": order}),
        Deed::Get(order) => json!({"type": "get", "order_id": order}),
        Deed::List => json!({"type": "orders", "limit": 20}),
    }
}
