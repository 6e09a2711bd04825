//! A socket that sends without a pause does not hold up the others, nor its own end.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use galley_tests::json::id;
use galley_tests::raw_connection::{RawOpcode, frame};
use galley_tests::{RawConnection, TestClient, TestStack, signed_token, until, within};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const FIN: u8 = 0x80;
/// Many times what it takes on a busy machine, and a fraction of what it took to be starved.
const SOON: Duration = Duration::from_secs(3);

fn pings() -> Vec<u8> {
    frame(FIN | RawOpcode::PING.0, b"?").repeat(1_000)
}

fn commands() -> Vec<u8> {
    frame(FIN | RawOpcode::TEXT.0, br#"{"type":"ping"}"#).repeat(500)
}

/// Sends the same bytes again and again and reads everything, until the gateway ends the
/// connection. Returns the last bytes that came.
async fn flood(connection: RawConnection, bytes: Vec<u8>) -> Vec<u8> {
    let (stream, read) = connection.into_parts();
    let (mut answers, mut questions) = stream.into_split();
    let mut last = read;
    let reading = async {
        let mut buffer = vec![0; 64 * 1_024];
        while let Ok(length @ 1..) = answers.read(&mut buffer).await {
            last.extend_from_slice(&buffer[..length]);
            last.drain(..last.len().saturating_sub(256));
        }
    };
    let writing = async {
        while questions.write_all(&bytes).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
    last
}

async fn socket(url: &str, query: &str, headers: &str) -> RawConnection {
    let mut socket = RawConnection::open(url).await;
    socket.upgrade(query, headers).await;
    socket
}

/// Returns true if the bytes end with the close frame of this code and reason.
fn ends_with_close(bytes: &[u8], code: u16, reason: &str) -> bool {
    bytes.ends_with(&[&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

/// Asks for the health and opens sockets for a while. Returns the longest wait.
async fn neighbour(client: &TestClient, hero: i64, times: usize) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        let began = Instant::now();
        client.get("/healthz").await.is(200);
        let mut socket = client.connect(hero).await;
        assert_eq!(socket.ask(json!({"type": "ping"})).await["type"], "pong");
        longest = longest.max(began.elapsed());
    }
    longest
}

#[tokio::test]
async fn a_flood_of_pings_is_closed_and_holds_nobody_up() {
    const SOCKETS: usize = 32;
    let (stack, client, hero, _) = TestStack::embedded().start_with_hero_and_meal().await;
    let url = stack.gateways[0].url.clone();
    let floods = join_all((0..SOCKETS).map(async |_| {
        let socket = socket(&url, "", "").await;
        within("the end of a flood", flood(socket, pings())).await
    }));
    let (ends, longest) = tokio::join!(floods, neighbour(&client, hero, 10));
    println!("the neighbour waited {longest:?} at most");
    assert!(longest < SOON, "the neighbour waited {longest:?}");
    let told = ends.iter().filter(|end| ends_with_close(end, 1008, "flooding")).count();
    assert_eq!(told, SOCKETS, "each is told why");
    let reached = client.metric(r#"galley_limits_reached_total{limit="flooding"}"#).await;
    assert_eq!(reached, SOCKETS as u64);
}

#[tokio::test]
async fn requests_that_wait_for_no_answer_hold_nobody_up() {
    let (stack, client, hero, _) = TestStack::embedded().start_with_hero_and_meal().await;
    let url = &stack.gateways[0].url;
    let requests = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let floods = join_all(
        (0..32).map(async |_| flood(RawConnection::open(url).await, requests.clone()).await),
    );
    tokio::select! {
        ends = floods => panic!("{} connections ended", ends.len()),
        longest = neighbour(&client, hero, 10) => {
            println!("the neighbour waited {longest:?} at most");
            assert!(longest < SOON, "the neighbour waited {longest:?}");
        }
    }
}

#[tokio::test]
async fn who_goes_on_after_thousands_of_refusals_is_closed_and_who_waits_is_not() {
    let (stack, client, hero, meal) = TestStack::embedded()
        .set("GALLEY_COMMAND_RATE", "20/s burst 1")
        .start_with_hero_and_meal()
        .await;
    let mut honest = client.connect(hero).await;
    let obstinate = socket(&stack.gateways[0].url, "", "").await;
    let waiting = async {
        let mut placed = 0;
        while placed < 40 {
            let answer = honest.ask(json!({"type": "place", "meal_id": meal})).await;
            // An honest client waits as it is told.
            if let Some(wait) = answer["problem"]["retry_after_ms"].as_u64() {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            } else {
                placed += i64::from(id(&answer["order"]) > 0);
            }
        }
    };
    let flooding = within("the end of a flood", flood(obstinate, commands()));
    let (end, ()) = tokio::join!(flooding, within("an honest client", waiting));
    assert!(ends_with_close(&end, 1008, "flooding"), "{end:?}");
}

#[tokio::test]
async fn an_unlimited_flood_ends_with_its_token() {
    const LIFE: i64 = 4;
    let stack =
        TestStack::embedded().with_tokens().set("GALLEY_COMMAND_RATE", "unlimited").start().await;
    let hero = stack.staff().create_hero("Zoé", &[]).await;
    let token = signed_token::hero(hero, LIFE);
    let header = format!("Authorization: Bearer {token}\r\n");
    let flooding = join_all((0..4).map(async |_| {
        let socket = socket(&stack.gateways[0].url, "", &header).await;
        flood(socket, commands()).await
    }));
    let began = Instant::now();
    for end in within("the end of the token", flooding).await {
        assert!(ends_with_close(&end, 4401, "token missing or expired"), "{end:?}");
    }
    // The clocks may differ a little, and the expiry is looked at every second.
    let late = Duration::from_secs(LIFE.unsigned_abs() + 10);
    assert!(began.elapsed() < late, "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_unlimited_flood_ends_with_its_hero() {
    let stack =
        TestStack::embedded().with_tokens().set("GALLEY_COMMAND_RATE", "unlimited").start().await;
    let staff = stack.staff();
    let hero = staff.create_hero("Zoé", &[]).await;
    let header = format!("Authorization: Bearer {}\r\n", signed_token::hero(hero, 3_600));
    let mut floods = Vec::new();
    for _ in 0..4 {
        let socket = socket(&stack.gateways[0].url, "", &header).await;
        floods.push(tokio::spawn(flood(socket, commands())));
    }
    until("the floods", async || {
        (staff.metric("galley_frames_in_total").await > 1_000).then_some(())
    })
    .await;
    assert_eq!(staff.delete(&format!("/heroes/{hero}")).await.status, 204);
    for end in within("the end of the floods", join_all(floods)).await {
        let end = end.expect("no panic");
        assert!(ends_with_close(&end, 1008, "not allowed here"), "{end:?}");
    }
}

#[tokio::test]
async fn floods_do_not_delay_the_stop() {
    let mut stack = TestStack::embedded()
        .set("GALLEY_COMMAND_RATE", "unlimited")
        .set("GALLEY_DRAIN", "1s")
        .start()
        .await;
    let url = stack.gateways[0].url.clone();
    let mut floods = Vec::new();
    for _ in 0..8 {
        floods.push(tokio::spawn(flood(socket(&url, "", "").await, commands())));
    }
    let client = stack.client();
    until("the floods", async || {
        (client.metric("galley_frames_in_total").await > 1_000).then_some(())
    })
    .await;
    let began = Instant::now();
    stack.gateways[0].program.stop().await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    // A flood that reads slowly may leave no room for a close frame.
    for end in within("the end of the floods", join_all(floods)).await {
        end.expect("no panic");
    }
}
