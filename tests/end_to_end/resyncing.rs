//! A slow client receives exactly the changes that it missed; many of them come in pages.

use futures_util::stream::{self, StreamExt as _};
use galley_protocol::{Picture, Status};
use galley_tests::json::{id, list, text};
use galley_tests::raw_connection::RawOpcode;
use galley_tests::test_socket::MAX_ENDED;
use galley_tests::wire_check::understand;
use galley_tests::{RawSocket, StackBuilder, within};
use serde_json::Value;
use tokio::sync::Semaphore;

/// The orders that a client knows before it is slow.
const BEFORE: usize = 100;
/// The orders that are placed while it reads too slowly.
const ORDERS: usize = 1_200;
/// The most orders and deletions in one `resync`.
const PAGE: usize = 200;
/// The receive buffer of the socket: so small that soon everything waits in the gateway.
const RECEIVE_BUFFER: u32 = 4_096;

on_both_deployments!(who_was_slow_is_told_what_it_missed_and_no_more);
/// The first orders changed just before, so a resync by time would contain them again.
async fn who_was_slow_is_told_what_it_missed_and_no_more(stack: StackBuilder) {
    let (_stack, client, hero, meal) =
        stack.set("GALLEY_SEND_QUEUE", "16KiB").delay("0s").start_with_hero_and_meal().await;
    let mut socket = RawSocket::open(client.base(), hero, RECEIVE_BUFFER).await;
    let mut picture = Picture::new(MAX_ENDED);
    let completed = |picture: &Picture| {
        picture.orders().filter(|order| order.status == Status::Completed).count()
    };
    let place = async |count| {
        stream::iter(0..count).map(|_| client.place(hero, meal)).buffer_unordered(100).count().await
    };
    let mut placed = place(BEFORE).await;
    while completed(&picture) < placed {
        picture.apply(&understand(&within("a frame", frame_of(&mut socket)).await));
    }
    let known: Vec<_> = picture.orders().map(|order| order.id.get()).collect();

    // On a slow machine the first orders may have been too many for the socket already.
    let behind_before = client.metric("galley_sockets_behind_total").await;
    while client.metric("galley_sockets_behind_total").await == behind_before {
        placed += place(50).await;
    }
    placed += place(50).await;
    let mut told = Vec::new();
    while completed(&picture) < placed {
        let frame = within("a frame", frame_of(&mut socket)).await;
        picture.apply(&understand(&frame));
        if frame["type"] == "resync" {
            told.extend(list(&frame, "orders").iter().map(id));
        }
    }
    assert!(!told.is_empty() && told.iter().all(|id| !known.contains(id)), "{told:?}");
}

on_both_deployments!(much_that_was_missed_comes_in_pages);
/// With so small a queue every burst is a resync of an event stream. The socket reads one of three
/// frames per order until all are placed, and misses too many changes to be tracked one by one.
async fn much_that_was_missed_comes_in_pages(stack: StackBuilder) {
    let (_stack, client, hero, meal) =
        stack.set("GALLEY_SEND_QUEUE", "1KiB").delay("0s").start_with_hero_and_meal().await;
    let mut socket = RawSocket::open(client.base(), hero, RECEIVE_BUFFER).await;
    let mut events = client.listen(&format!("/heroes/{hero}/events")).await;
    let may_read = Semaphore::new(0);
    let placing = async {
        let mut placed =
            stream::iter(0..ORDERS).map(|_| client.place(hero, meal)).buffer_unordered(100);
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
    let ((), first, second) =
        within("everything", async { tokio::join!(placing, by_socket, by_events) }).await;
    assert!(check_pages(&first) > 0, "no resync was long enough to be cut into pages");
    check_pages(&second);
}

/// The next text frame.
async fn frame_of(socket: &mut RawSocket) -> Value {
    loop {
        let (opcode, payload) = socket.frame().await.expect("the socket stays open");
        if opcode == RawOpcode::TEXT {
            return serde_json::from_slice(&payload).expect("JSON");
        }
    }
}

/// Reads until every order was received as completed; returns the resyncs.
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

/// Checks the pages; returns the number of pages that continue the previous one.
fn check_pages(resyncs: &[Value]) -> usize {
    assert!(resyncs.iter().all(|page| list(page, "orders").len() <= PAGE));
    let mut continued = 0;
    for pair in resyncs.windows(2) {
        let [page, next] = pair else { unreachable!("a window of two") };
        let (last, first) =
            (list(page, "orders").last().map(id), list(next, "orders").first().map(id));
        // Only a full page is continued; a partial one ends its resync.
        if list(page, "orders").len() == PAGE && last < first {
            continued += 1;
            if list(next, "orders").len() < PAGE {
                assert_ne!(
                    text(page, "cursor"),
                    text(next, "cursor"),
                    "only the last page moves the client on"
                );
            }
        }
    }
    continued
}
