//! A socket and an event stream deliver the same updates.

use galley_protocol::{Order, OrderId, Picture};
use galley_tests::json::{id, text};
use galley_tests::test_socket::MAX_ENDED;
use galley_tests::wire_check::understand;
use galley_tests::{Events, StackBuilder, TestClient, TestSocket, until};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

/// The seed of the steps, the same in every run; only the timing differs.
const SEED: u64 = 7;
const STEPS: usize = 150;

/// A kind of connection.
enum ClientWire {
    Socket(Box<TestSocket>),
    Events(Box<Events>),
}

/// A listener of a hero, with the frames that it received.
struct OrderListener {
    wire: ClientWire,
    picture: Picture,
    cursor: String,
    /// Every frame after the welcome.
    heard: Vec<Value>,
}

impl OrderListener {
    fn new(wire: ClientWire) -> Self {
        let mut listener = Self {
            wire,
            picture: Picture::new(MAX_ENDED),
            cursor: String::new(),
            heard: Vec::new(),
        };
        listener.take_welcome();
        listener
    }

    fn take_welcome(&mut self) {
        let welcome = match &self.wire {
            ClientWire::Socket(socket) => &socket.welcome,
            ClientWire::Events(events) => &events.welcome,
        };
        self.picture.apply(&understand(welcome));
        text(welcome, "cursor").clone_into(&mut self.cursor);
    }

    /// Reads the frames that have arrived.
    fn catch_up(&mut self) {
        while let Some(frame) = match &mut self.wire {
            ClientWire::Socket(socket) => socket.try_next(),
            ClientWire::Events(events) => events.try_next(),
        } {
            self.picture.apply(&understand(&frame));
            text(&frame, "cursor").clone_into(&mut self.cursor);
            self.heard.push(frame);
        }
    }

    /// Disconnects, and resumes with the last cursor.
    async fn come_back(&mut self, client: &TestClient, hero: i64) {
        self.catch_up();
        let path = format!("/heroes/{hero}/events");
        self.wire = match self.wire {
            ClientWire::Socket(_) => {
                ClientWire::Socket(Box::new(client.resume(hero, &self.cursor).await))
            }
            ClientWire::Events(_) => {
                let events = client.get(&path).header("Last-Event-ID", &self.cursor).listen().await;
                ClientWire::Events(Box::new(events.unwrap_or_else(|answer| panic!("{answer:?}"))))
            }
        };
        self.take_welcome();
    }
}

on_both_deployments!(a_socket_and_an_event_stream_tell_the_same);
async fn a_socket_and_an_event_stream_tell_the_same(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("0ms..50ms").start_with_hero_and_meal().await;
    let path = format!("/heroes/{hero}/events");
    // Two listeners that stay, and two that reconnect at the same moments.
    let mut listeners = Vec::new();
    for _ in 0..2 {
        listeners
            .push(OrderListener::new(ClientWire::Socket(Box::new(client.connect(hero).await))));
        listeners
            .push(OrderListener::new(ClientWire::Events(Box::new(client.listen(&path).await))));
    }
    let mut random = StdRng::seed_from_u64(SEED);
    let mut orders = Vec::new();
    for _ in 0..STEPS {
        match random.random_range(0..10) {
            0..=5 => orders.push(id(&client.place(hero, meal).await)),
            6..=8 if !orders.is_empty() => {
                end(&client, orders[random.random_range(0..orders.len())], random.random()).await;
            }
            _ => {
                for listener in &mut listeners[2..] {
                    listener.come_back(&client, hero).await;
                }
            }
        }
        listeners.iter_mut().for_each(OrderListener::catch_up);
    }
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;

    let stored = client.all("/orders").await.into_iter();
    let mut stored: Vec<Order> =
        stored.map(|order| serde_json::from_value(order).expect("an order")).collect();
    stored.sort_unstable_by_key(|order| order.id);
    let is_gone = |order: &OrderId| stored.binary_search_by_key(order, |order| order.id).is_err();
    let gone = orders
        .iter()
        .filter_map(|order| OrderId::new(*order).ok())
        .filter(is_gone)
        .collect::<Vec<_>>();
    assert!(!gone.is_empty(), "some were deleted");
    for (number, listener) in listeners.iter_mut().enumerate() {
        until(&format!("listener {number} has seen everything"), async || {
            listener.catch_up();
            let all_gone = gone.iter().all(|order| listener.picture.is_deleted(*order));
            (listener.picture.orders().eq(&stored) && all_gone).then_some(())
        })
        .await;
    }
    let [socket, events, ..] = &listeners[..] else { unreachable!("there are four") };
    assert!(socket.heard.len() > STEPS / 2, "{} frames", socket.heard.len());
    let updates = |listener: &OrderListener| {
        listener.heard.iter().filter(|frame| frame["type"] != "resync").cloned().collect::<Vec<_>>()
    };
    if updates(socket).len() == socket.heard.len() && updates(events).len() == events.heard.len() {
        assert_eq!(socket.heard, events.heard);
    }
}

/// Cancels or deletes an order; a refusal is fine.
async fn end(client: &TestClient, order: i64, cancel: bool) {
    let answer = if cancel {
        client.cancel(order).await
    } else {
        client.delete(&format!("/orders/{order}")).await
    };
    assert!([200, 204, 404, 409].contains(&answer.status), "{answer:?}");
}
