//! What a slow client has missed comes in pages.

use futures_util::stream::{self, StreamExt as _};
use galley_protocol::{Picture, Status};
use galley_tests::json::{id, list, text};
use galley_tests::raw_connection::Opcode;
use galley_tests::socket::MAX_ENDED;
use galley_tests::wire::understand;
use galley_tests::{RawSocket, StackBuilder, within};
use serde_json::Value;
use tokio::sync::Semaphore;

const ORDERS: usize = 1_200;
/// The most orders and deletions in one `resync`.
const PAGE: usize = 200;
/// Of the socket's kernel: so small that soon everything waits in the gateway.
const RECEIVE_BUFFER: u32 = 4_096;

on_both_deployments![much_that_was_missed_comes_in_pages];

/// With so small a queue every burst is a resync of an event stream; each goes back far enough to tell of all the orders again. The
/// socket reads one frame an order, of three that are sent, until all are placed.
async fn much_that_was_missed_comes_in_pages(stack: StackBuilder) {
    let stack = stack.set("GALLEY_SEND_QUEUE", "1KiB").delay("0s").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut socket = RawSocket::open(client.base(), hero, RECEIVE_BUFFER).await;
    let mut events = client.listen(&format!("/heroes/{hero}/events")).await;
    let may_read = Semaphore::new(0);
    let placing = async {
        let mut placed = stream::iter(0..ORDERS).map(|_| client.place(hero, meal)).buffer_unordered(100);
        while placed.next().await.is_some() {
            may_read.add_permits(1);
        }
        may_read.close();
    };
    let by_socket = hear_all(async || {
        if let Ok(read) = may_read.acquire().await {
            read.forget();
        }
        frame_of(&mut socket).await
    });
    let by_events = hear_all(async || events.next().await);
    let ((), first, second) = within("everything", async { tokio::join!(placing, by_socket, by_events) }).await;
    for frames in [first, second] {
        check_pages(&frames);
    }
}

/// The next text frame.
async fn frame_of(socket: &mut RawSocket) -> Value {
    loop {
        let (opcode, payload) = socket.frame().await.expect("the socket stays open");
        if opcode == Opcode::TEXT {
            return serde_json::from_slice(&payload).expect("JSON");
        }
    }
}

/// The resyncs, until every order was seen at its end.
async fn hear_all(mut next: impl AsyncFnMut() -> Value) -> Vec<Value> {
    let (mut picture, mut resyncs) = (Picture::new(MAX_ENDED), Vec::new());
    while picture.orders().filter(|order| order.status == Status::Completed).count() < ORDERS {
        let frame = next().await;
        picture.apply(&understand(&frame));
        if frame["type"] == "resync" {
            resyncs.push(frame);
        }
    }
    resyncs
}

fn check_pages(resyncs: &[Value]) {
    assert!(resyncs.iter().all(|page| list(page, "orders").len() <= PAGE));
    let mut continued = 0;
    for pair in resyncs.windows(2) {
        let [page, next] = pair else { unreachable!("a window of two") };
        let (last, first) = (list(page, "orders").last().map(id), list(next, "orders").first().map(id));
        // A resync of its own would begin with orders that the one before told as well.
        if last < first {
            continued += 1;
            assert_eq!(list(page, "orders").len(), PAGE, "only a full page is followed by another");
            if list(next, "orders").len() < PAGE {
                assert_ne!(text(page, "cursor"), text(next, "cursor"), "only the last page moves the client on");
            }
        }
    }
    assert!(continued > 0, "no resync was long enough to be cut into pages");
}
