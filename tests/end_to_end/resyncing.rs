//! What a slow client has missed comes in pages.

use futures_util::stream::{self, StreamExt as _};
use galley_protocol::{Picture, Status};
use galley_tests::json::{id, list, text};
use galley_tests::socket::MAX_ENDED;
use galley_tests::wire::understand;
use galley_tests::{StackBuilder, within};
use serde_json::Value;

const ORDERS: usize = 1_200;
/// The most orders and deletions in one `resync`.
const PAGE: usize = 200;

on_both_deployments![much_that_was_missed_comes_in_pages];

/// With so small a queue every burst is a resync; each goes back far enough to tell of all the orders again.
async fn much_that_was_missed_comes_in_pages(stack: StackBuilder) {
    let stack = stack.set("GALLEY_SEND_QUEUE", "1KiB").delay("0s").start().await;
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let mut events = client.listen(&format!("/heroes/{hero}/events")).await;
    let placing = stream::iter(0..ORDERS).map(|_| client.place(hero, meal)).buffer_unordered(100).count();
    let by_socket = async { hear_all(async || socket.next().await).await };
    let by_events = async { hear_all(async || events.next().await).await };
    let (placed, first, second) = within("everything", async { tokio::join!(placing, by_socket, by_events) }).await;
    assert_eq!(placed, ORDERS);
    for frames in [first, second] {
        check_pages(&frames);
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
