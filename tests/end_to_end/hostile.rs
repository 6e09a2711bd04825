//! Hostile and dying clients cost the gateway bounded memory, leave nothing behind, and do not
//! disturb other clients.

use std::cell::Cell;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use galley_protocol::Timestamp;
use galley_tests::json::{id, text, version};
use galley_tests::program::{command, path_of};
use galley_tests::raw_connection::{RawAnswer, RawOpcode, UPGRADE, frame, head};
use galley_tests::{RawConnection, TestClient, TestProgram, TestSocket, TestStack, until, within};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::interval;

const MIB: u64 = 1_024 * 1_024;
/// The memory that an attack may cost beyond its stated bound, because allocators keep freed
/// memory, and other clients are active.
const SLACK: u64 = 24 * MIB;

/// The least number of orders of the neighbour during an attack.
const LEAST_ORDERS: usize = 10;
/// The longest delay of a change at the neighbour on a busy machine.
const LATE: Duration = Duration::from_secs(5);
const FIN: u8 = 0x80;

/// A gateway under attack, and a neighbour that uses it meanwhile.
struct Attack {
    stack: TestStack,
    client: TestClient,
    hero: i64,
    meal: i64,
    neighbour: TestSocket,
    /// The resident memory of the gateway before the attack, in bytes, and the maximum since.
    resident: u64,
    most_resident: u64,
    sockets: usize,
}

impl Attack {
    async fn begin(settings: &[(&str, &str)]) -> Self {
        let stack = TestStack::embedded().delay("0s");
        let (stack, client, hero, meal) = settings
            .iter()
            .fold(stack, |stack, (name, value)| stack.set(name, value))
            .start_with_hero_and_meal()
            .await;
        let neighbour = client.connect(hero).await;
        let mut scene = Self {
            client,
            hero,
            meal,
            neighbour,
            resident: 0,
            most_resident: 0,
            sockets: 0,
            stack,
        };
        // The first order allocates memory once; that does not count.
        scene.neighbour_orders().await;
        scene.resident = scene.program().resident();
        scene.sockets = scene.program().open_sockets();
        scene
    }

    fn program(&self) -> &TestProgram {
        &self.stack.gateways[0].program
    }

    fn url(&self) -> &str {
        &self.stack.gateways[0].url
    }

    async fn socket(&self) -> RawConnection {
        socket(self.url(), "").await
    }

    async fn reached(&self, limit: &str) -> u64 {
        self.client.metric(&format!(r#"galley_limits_reached_total{{limit="{limit}"}}"#)).await
    }

    /// Places an order of the neighbour and expects each of its states once and in order. Returns
    /// the delay of each.
    async fn neighbour_orders(&mut self) -> Vec<Duration> {
        let order = id(&self.client.place(self.hero, self.meal).await);
        let mut lags = Vec::new();
        for (expected, time) in (1..).zip(["order_time", "started_time", "completed_time"]) {
            let told = |frame: &Value| frame["type"] == "order" && frame["order"]["id"] == order;
            let frame = self.neighbour.until("the next state", told).await;
            assert_eq!(version(&frame["order"]), expected, "in its order: {frame}");
            let changed: Timestamp =
                serde_json::from_value(frame["order"][time].clone()).expect("a time");
            let changed = UNIX_EPOCH
                + Duration::from_millis(u64::try_from(changed.millis()).expect("after 1970"));
            // Times are truncated to milliseconds; a negative delay counts as zero.
            lags.push(changed.elapsed().unwrap_or_default());
        }
        self.most_resident = self.most_resident.max(self.program().resident());
        lags
    }

    /// Lets the neighbour order without a pause during the attack. Returns the outcome of the
    /// attack.
    async fn during<T>(&mut self, what: &str, attack: impl Future<Output = T>) -> T {
        let over = Cell::new(false);
        let attack = async {
            let outcome = attack.await;
            over.set(true);
            outcome
        };
        let ordering = async {
            let mut lags = Vec::new();
            while !over.get() || lags.len() < 3 * LEAST_ORDERS {
                lags.extend(self.neighbour_orders().await);
            }
            lags.sort_unstable();
            lags
        };
        let (outcome, lags) = tokio::join!(attack, ordering);
        let p99 = lags[lags.len() * 99 / 100];
        println!(
            "{what}: the neighbour heard of {} changes, p99 {p99:?} after the commit",
            lags.len()
        );
        assert!(p99 < LATE, "{what}: the neighbour heard of changes {p99:?} late");
        outcome
    }

    /// Opens so many connections, which take turns with these beginnings of a request, then send a
    /// byte per second until the gateway hangs up. Returns its answers.
    async fn dawdle(&mut self, count: usize, heads: &[&str]) -> Vec<Vec<u8>> {
        let mut slow = Vec::new();
        for head in heads.iter().cycle().take(count) {
            let mut connection = RawConnection::open(self.url()).await;
            connection.send(head.as_bytes()).await;
            slow.push(dawdle(connection));
        }
        let end = async { within("the end of slow requests", join_all(slow)).await };
        let answers = self.during("slow requests", end).await;
        self.assert_grew_at_most(count as u64 * 48 * 1_024);
        self.assert_all_gone().await;
        answers
    }

    fn assert_grew_at_most(&self, bytes: u64) {
        let most = self.most_resident.max(self.program().resident());
        let grew = most.saturating_sub(self.resident);
        println!("grew by {} KiB", grew / 1_024);
        assert!(
            grew <= bytes + SLACK,
            "the gateway grew by {grew} bytes, more than {bytes} and {SLACK}"
        );
    }

    /// Waits until only the socket of the neighbour and a few REST connections remain.
    async fn assert_all_gone(&mut self) {
        until("the end of all sockets but one", async || {
            (self.client.metric("galley_sockets").await == 1).then_some(())
        })
        .await;
        let few = self.sockets + 4;
        until("closed connections", async || (self.program().open_sockets() <= few).then_some(()))
            .await;
        self.neighbour_orders().await;
    }
}

/// Opens a socket with a small receive buffer.
async fn socket(url: &str, query: &str) -> RawConnection {
    let mut socket = RawConnection::open_narrow(url, 4_096).await;
    socket.upgrade(query, "").await;
    socket
}

/// Sends a byte per second until the gateway hangs up; returns its answer.
async fn dawdle(mut connection: RawConnection) -> Vec<u8> {
    while connection.try_send(b"x").await {
        if tokio::time::timeout(Duration::from_secs(1), connection.until_gone()).await.is_ok() {
            break;
        }
    }
    connection.into_parts().1
}

/// A client that connects and leaves in one of the states of a connection, with a reset or a plain
/// close.
async fn come_and_go(url: &str, hero: i64, number: usize) {
    let mut connection = RawConnection::open(url).await;
    let handshake = format!("GET /ws?hero_id={hero} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n");
    match number % 7 {
        0 => {}
        1 => connection.send(&handshake.as_bytes()[..handshake.len() / 2]).await,
        2 => connection.send(handshake.as_bytes()).await,
        3 => connection.upgrade(&format!("?hero_id={hero}"), "").await,
        4 => {
            connection.upgrade("", "").await;
            connection.send(&frame(FIN | RawOpcode::TEXT.0, br#"{"type":"watch"}"#)).await;
        }
        5 => {
            connection.upgrade("", "").await;
            connection.send(&frame(RawOpcode::TEXT.0, b"half a mess")[..9]).await;
        }
        _ => {
            connection
                .send(
                    format!("GET /heroes/{hero}/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        .as_bytes(),
                )
                .await;
        }
    }
    if number.is_multiple_of(2) {
        connection.reset();
    }
}

#[tokio::test]
async fn thousands_of_clients_that_are_cut_or_vanish_leave_nothing_behind() {
    // The limits fit the simultaneous clients but not all of them, so that a leaked seat would
    // show.
    let settings =
        ["GALLEY_MAX_SOCKETS", "GALLEY_MAX_SOCKETS_PER_IP", "GALLEY_MAX_SOCKETS_PER_HERO"];
    let mut scene = Attack::begin(&settings.map(|setting| (setting, "1000"))).await;
    let (url, hero) = (scene.url().to_owned(), scene.hero);
    for _ in 0..4 {
        let clients = stream::iter(0..1_000)
            .for_each_concurrent(20, |number| come_and_go(&url, hero, number));
        scene.during("clients that come and go", clients).await;
        scene.assert_all_gone().await;
    }
    let mut all = Vec::new();
    for _ in 0..999 {
        all.push(scene.socket().await);
    }
    assert_eq!(scene.client.refused("").await.0, 503, "all seats can be had again, and no more");
    drop(all);
    scene.assert_all_gone().await;
    scene.assert_grew_at_most(0);
}

#[tokio::test]
async fn clients_that_are_killed_leave_nothing_behind() {
    let mut scene = Attack::begin(&[]).await;
    let watch = |hero: i64| {
        let mut watch = command(path_of("galley"));
        watch.args(["watch", "--json", "--url", scene.url(), "--hero", &hero.to_string()]);
        TestProgram::start("galley watch", &mut watch)
    };
    let mut watching: Vec<TestProgram> = (0..10).map(|_| watch(scene.hero)).collect();
    until("eleven sockets", async || {
        (scene.client.metric("galley_sockets").await == 11).then_some(())
    })
    .await;
    watching.iter_mut().for_each(TestProgram::kill);
    scene.assert_all_gone().await;
}

#[tokio::test]
async fn heads_that_dawdle_are_cut_and_hold_little() {
    const COUNT: usize = 500;
    let mut scene = Attack::begin(&[]).await;
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: {}", "x".repeat(20_000));
    let heads = ["", "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso", &long];
    // Single bytes do not extend the time-out.
    scene.dawdle(COUNT, &heads).await;
    assert!(scene.reached("head-time").await >= COUNT as u64 / 2);
}

#[tokio::test]
async fn bodies_that_dawdle_are_cut_and_hold_little() {
    const COUNT: usize = 200;
    let mut scene = Attack::begin(&[]).await;
    let head = "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{";
    for said in scene.dawdle(COUNT, &[head]).await {
        let answer = RawAnswer::parse(&said).expect("an answer");
        assert_eq!(
            (answer.status, text(&answer.json(), "type")),
            (408, "/problems/request-timeout")
        );
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
    }
    assert_eq!(scene.reached("body-time").await, COUNT as u64);
}

#[tokio::test]
async fn announcements_and_endless_fragments_hold_little() {
    let mut scene = Attack::begin(&[]).await;
    let mut sockets = Vec::new();
    // Each frame is announced a little below the bound and never sent.
    for _ in 0..300 {
        let mut socket = scene.socket().await;
        socket.send(&[head(FIN | RawOpcode::TEXT.0, true, 16_000), vec![0; 4]].concat()).await;
        sockets.push(socket);
    }
    // Frames beyond the bound are refused.
    for _ in 0..300 {
        let mut socket = scene.socket().await;
        socket
            .send(&[head(FIN | RawOpcode::TEXT.0, true, (1 << 63) - 1), vec![0; 4]].concat())
            .await;
        assert_eq!(socket.close_code().await, Some(1009));
    }
    let refused = r#"galley_sockets_closed_total{code="1009"}"#;
    until("all refusals", async || (scene.client.metric(refused).await == 300).then_some(())).await;
    // An empty message in a hundred thousand fragments.
    let mut endless = scene.socket().await;
    endless.send(&frame(RawOpcode::TEXT.0, b"")).await;
    let sending = async {
        for _ in 0..100 {
            endless.send(&frame(RawOpcode::CONTINUATION.0, b"").repeat(1_000)).await;
        }
    };
    scene.during("endless fragments", sending).await;
    scene.assert_grew_at_most(300 * 24 * 1_024);
    endless
        .send(&frame(FIN | RawOpcode::CONTINUATION.0, br#"{"type":"ping","id":"at last"}"#))
        .await;
    assert_eq!(endless.frame_of_type("pong").await["id"], "at last");
    drop((sockets, endless));
    scene.assert_all_gone().await;
}

/// Sends the same bytes repeatedly without reading, at most `most`, until the gateway stops reading
/// or hangs up. Returns the bytes sent.
async fn flood(mut socket: RawConnection, bytes: Vec<u8>, most: u64) -> u64 {
    const PATIENCE: Duration = Duration::from_secs(3);
    let mut sent = 0;
    while sent < most {
        match tokio::time::timeout(PATIENCE, socket.try_send(&bytes)).await {
            Ok(true) => sent += bytes.len() as u64,
            Ok(false) | Err(_) => break,
        }
    }
    sent
}

#[tokio::test]
async fn a_client_that_only_asks_and_never_listens_is_not_read_on() {
    const MOST: u64 = 64 * MIB;
    let mut scene = Attack::begin(&[]).await;
    let pings = frame(FIN | RawOpcode::PING.0, &[b'x'; 125]).repeat(500);
    let commands = frame(FIN | RawOpcode::TEXT.0, br#"{"type":"help"}"#).repeat(500);
    let rubbish = frame(FIN | RawOpcode::TEXT.0, "rubbish ".repeat(1_000).as_bytes()).repeat(8);
    for (what, bytes) in [("pings", pings), ("commands", commands), ("rubbish", rubbish.clone())] {
        let sockets = [scene.socket().await, scene.socket().await, scene.socket().await];
        let floods = join_all(sockets.map(|socket| flood(socket, bytes.clone(), MOST)));
        for sent in scene.during(what, floods).await {
            println!("{what}: the gateway and the kernel took {sent} bytes of a flood");
            assert!(sent < MOST, "{what}: who does not listen must not be heard for ever");
        }
        scene.assert_grew_at_most(3 * MIB);
    }
    // Only the unread answers stopped it: a client that reads them may continue.
    let (stream, _) = scene.socket().await.into_parts();
    let (mut answers, mut questions) = stream.into_split();
    let listening =
        tokio::spawn(async move { tokio::io::copy(&mut answers, &mut tokio::io::sink()).await });
    let asking = async {
        for _ in 0..MOST / rubbish.len() as u64 {
            within("a send", questions.write_all(&rubbish)).await.expect("the gateway reads on");
        }
    };
    scene.during("a client that listens", asking).await;
    drop(questions);
    assert!(listening.await.expect("no panic").is_ok_and(|heard| heard > MIB));
    scene.assert_all_gone().await;
}

/// Places orders of one hero while `count` of its sockets read slowly. Returns how often they fell
/// behind.
async fn read_slowly(scene: &mut Attack, count: usize) -> u64 {
    const ORDERS: usize = 1_500;
    const PACE: Duration = Duration::from_millis(200);
    let hero = scene.client.create_hero("Slow", &[]).await;
    let (meal, url) = (scene.meal, scene.url().to_owned());
    let mut slow = Vec::new();
    for _ in 0..count {
        let mut socket = socket(&url, &format!("?hero_id={hero}")).await;
        slow.push(tokio::spawn(async move {
            let mut pace = interval(PACE);
            while socket.sip().await {
                pace.tick().await;
            }
        }));
    }
    let placing = async {
        // Dropping this client closes its connections.
        let client = TestClient::new(&url);
        let orders = stream::iter(0..ORDERS).map(|_| client.place_at_last(hero, meal));
        assert_eq!(orders.buffer_unordered(20).count().await, ORDERS);
    };
    scene.during("slow readers", placing).await;
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    scene.client.metric("galley_sockets_behind_total").await
}

#[tokio::test]
async fn sockets_that_read_slowly_hold_little() {
    const COUNT: usize = 60;
    // The queue, a page of a resync, and a copy of that page on its way into the kernel.
    const OF_EACH: u64 = 512 * 1_024;
    let mut scene = Attack::begin(&[]).await;
    let behind = read_slowly(&mut scene, COUNT).await;
    assert!(behind >= COUNT as u64, "each fell behind: {behind}");
    scene.assert_grew_at_most(COUNT as u64 * OF_EACH);
    scene.assert_all_gone().await;
    // With a large bound everything is held, so it is the bound that limits memory.
    let mut scene = Attack::begin(&[("GALLEY_SEND_QUEUE", "64MiB")]).await;
    assert_eq!(read_slowly(&mut scene, 3).await, 0);
}

#[tokio::test]
async fn a_client_that_asks_without_a_pause_and_listens_leaves_the_others_alone() {
    let mut scene = Attack::begin(&[("GALLEY_COMMAND_RATE", "5/s burst 10")]).await;
    let client = scene.client.clone();
    let mut busy = Vec::new();
    for _ in 0..3 {
        let mut socket = scene.client.connect_with("").await;
        busy.push(tokio::spawn(async move {
            loop {
                assert!(matches!(
                    socket.ask(json!({"type": "menu"})).await["type"].as_str(),
                    Some("reply" | "error")
                ));
            }
        }));
    }
    let refused = r#"galley_limits_reached_total{limit="commands"}"#;
    let reaching =
        until("the rate of commands", async || (client.metric(refused).await > 100).then_some(()));
    scene.during("clients without a pause", reaching).await;
    busy.iter().for_each(tokio::task::JoinHandle::abort);
    drop(busy);
    scene.assert_all_gone().await;
    scene.assert_grew_at_most(0);
}
