//! Clients that mean harm, or die: they cost the gateway bounded memory, leave nothing behind, and leave the others alone.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use galley_tests::json::id;
use galley_tests::program::{command, path_of};
use galley_tests::raw_connection::{Opcode, UPGRADE, frame, head};
use galley_tests::{Client, Program, RawConnection, Socket, Stack, until};
use serde_json::json;

const MIB: u64 = 1_024 * 1_024;
/// What any of these may cost besides what is said beside it: allocators keep what was freed, and the others are at work.
const SLACK: u64 = 24 * MIB;
const FIN: u8 = 0x80;

/// A gateway under attack, and somebody who uses it meanwhile.
struct Scene {
    stack: Stack,
    client: Client,
    hero: i64,
    meal: i64,
    neighbour: Socket,
    resident: u64,
    files: usize,
}

impl Scene {
    async fn begin(settings: &[(&str, &str)]) -> Self {
        let stack = Stack::embedded().delay("0s");
        let stack = settings.iter().fold(stack, |stack, (name, value)| stack.set(name, value)).start().await;
        let client = stack.client();
        let (hero, meal) = client.create_hero_and_meal().await;
        let neighbour = client.connect(hero).await;
        let mut scene = Self { client, hero, meal, neighbour, resident: 0, files: 0, stack };
        // What is made once, at the first order, is nobody's harm.
        scene.assert_neighbour_is_served().await;
        scene.resident = scene.program().resident();
        scene.files = scene.program().open_files();
        scene
    }

    fn program(&self) -> &Program {
        &self.stack.gateways[0].program
    }

    fn url(&self) -> &str {
        &self.stack.gateways[0].url
    }

    async fn socket(&self) -> RawConnection {
        let mut socket = RawConnection::open_narrow(self.url(), 4_096).await;
        socket.upgrade("", "").await;
        socket
    }

    /// The neighbour sees its order from its beginning to its end.
    async fn assert_neighbour_is_served(&mut self) {
        let order = id(&self.neighbour.reply(json!({"type": "place", "meal_id": self.meal})).await["order"]);
        self.neighbour.until_status(order, "COMPLETED").await;
    }

    fn assert_grew_at_most(&self, bytes: u64) {
        let grew = self.program().resident().saturating_sub(self.resident);
        println!("grew by {} KiB", grew / 1_024);
        assert!(grew <= bytes + SLACK, "the gateway grew by {grew} bytes, more than {bytes} and {SLACK}");
    }

    /// Nothing is left of anybody but the neighbour and a few connections of REST.
    async fn assert_all_gone(&mut self) {
        until("the end of all sockets but one", async || (self.client.metric("galley_sockets").await == 1).then_some(())).await;
        let few = self.files + 4;
        until("closed connections", async || (self.program().open_files() <= few).then_some(())).await;
        self.assert_neighbour_is_served().await;
    }
}

/// Clients in every state of a connection, each of which goes away with a reset or just goes.
async fn come_and_go(url: &str, hero: i64, number: usize) {
    let mut connection = RawConnection::open(url).await;
    let handshake = format!("GET /ws?hero_id={hero} HTTP/1.1\r\nHost: galley\r\n{UPGRADE}\r\n");
    match number % 7 {
        0 => {}
        1 => connection.send(&handshake.as_bytes()[..handshake.len() / 2]).await,
        2 => connection.send(handshake.as_bytes()).await,
        3 => connection.upgrade(&format!("?hero_id={hero}"), "").await,
        4 => {
            connection.upgrade("", "").await;
            connection.send(&frame(FIN | Opcode::TEXT.0, br#"{"type":"watch"}"#)).await;
        }
        5 => {
            connection.upgrade("", "").await;
            connection.send(&frame(Opcode::TEXT.0, b"half a mess")[..9]).await;
        }
        _ => connection.send(format!("GET /heroes/{hero}/events HTTP/1.1\r\nHost: galley\r\n\r\n").as_bytes()).await,
    }
    if number.is_multiple_of(2) {
        connection.reset();
    }
}

#[tokio::test]
async fn thousands_of_clients_that_are_cut_or_vanish_leave_nothing_behind() {
    // Room for those that come at once, and less than for all: a seat that did not come back would be missed in the end.
    let settings = ["GALLEY_MAX_SOCKETS", "GALLEY_MAX_SOCKETS_PER_IP", "GALLEY_MAX_SOCKETS_PER_HERO"];
    let mut scene = Scene::begin(&settings.map(|setting| (setting, "1000"))).await;
    let (url, hero) = (scene.url().to_owned(), scene.hero);
    for _ in 0..4 {
        stream::iter(0..1_000).for_each_concurrent(20, |number| come_and_go(&url, hero, number)).await;
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
    let mut scene = Scene::begin(&[]).await;
    let watch = |hero: i64| {
        let mut watch = command(path_of("galley"));
        watch.args(["watch", "--json", "--url", scene.url(), "--hero", &hero.to_string()]);
        Program::start("galley watch", &mut watch)
    };
    let mut watching: Vec<Program> = (0..10).map(|_| watch(scene.hero)).collect();
    until("eleven sockets", async || (scene.client.metric("galley_sockets").await == 11).then_some(())).await;
    watching.iter_mut().for_each(Program::kill);
    scene.assert_all_gone().await;
}

#[tokio::test]
async fn heads_that_dawdle_are_cut_and_hold_little() {
    const COUNT: usize = 500;
    let mut scene = Scene::begin(&[]).await;
    let mut slow = Vec::new();
    for number in 0..COUNT {
        let mut connection = RawConnection::open(scene.url()).await;
        let head = match number % 3 {
            0 => String::new(),
            1 => "GET /ws HTTP/1.1\r\nHost: galley\r\nUpgrade: webso".to_owned(),
            _ => format!("GET / HTTP/1.1\r\nHost: galley\r\nX-Slow: {}", "x".repeat(20_000)),
        };
        connection.send(head.as_bytes()).await;
        slow.push(connection);
    }
    scene.assert_neighbour_is_served().await;
    scene.assert_grew_at_most(COUNT as u64 * 48 * 1_024);
    // A byte now and then does not buy more time.
    let mut ends = Vec::new();
    for mut connection in slow {
        ends.push(tokio::spawn(async move {
            while connection.try_send(b"x").await {
                if tokio::time::timeout(Duration::from_secs(1), connection.until_gone()).await.is_ok() {
                    return;
                }
            }
        }));
    }
    for end in ends {
        galley_tests::within("the end of a slow head", end).await.expect("no panic");
    }
    scene.assert_all_gone().await;
    assert!(scene.client.metric(r#"galley_limits_reached_total{limit="head-time"}"#).await >= COUNT as u64 / 2);
}

#[tokio::test]
async fn announcements_and_endless_fragments_hold_little() {
    let mut scene = Scene::begin(&[]).await;
    let mut sockets = Vec::new();
    // Each a little below the bound, announced and never sent.
    for _ in 0..300 {
        let mut socket = scene.socket().await;
        socket.send(&[head(FIN | Opcode::TEXT.0, true, 16_000), vec![0; 4]].concat()).await;
        sockets.push(socket);
    }
    // Beyond it, and refused.
    for _ in 0..300 {
        let mut socket = scene.socket().await;
        socket.send(&[head(FIN | Opcode::TEXT.0, true, (1 << 63) - 1), vec![0; 4]].concat()).await;
        assert_eq!(socket.close_code().await, Some(1009));
    }
    // A message of nothing, in a hundred thousand parts.
    let mut endless = scene.socket().await;
    endless.send(&frame(Opcode::TEXT.0, b"")).await;
    for _ in 0..100 {
        endless.send(&frame(Opcode::CONTINUATION.0, b"").repeat(1_000)).await;
    }
    scene.assert_neighbour_is_served().await;
    scene.assert_grew_at_most(300 * 24 * 1_024);
    endless.send(&frame(FIN | Opcode::CONTINUATION.0, br#"{"type":"ping","id":"at last"}"#)).await;
    assert_eq!(endless.frame_of_type("pong").await["id"], "at last");
    drop((sockets, endless));
    scene.assert_all_gone().await;
}

/// Sends the same again and again without reading anything, until the gateway takes no more for a while, or hangs up.
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
    let mut scene = Scene::begin(&[]).await;
    let pings = frame(FIN | Opcode::PING.0, &[b'x'; 125]).repeat(500);
    let commands = frame(FIN | Opcode::TEXT.0, br#"{"type":"help"}"#).repeat(500);
    let rubbish = frame(FIN | Opcode::TEXT.0, "rubbish ".repeat(1_000).as_bytes()).repeat(8);
    for (what, bytes) in [("pings", pings), ("commands", commands), ("rubbish", rubbish)] {
        let floods: Vec<_> = [scene.socket().await, scene.socket().await, scene.socket().await]
            .into_iter()
            .map(|socket| tokio::spawn(flood(socket, bytes.clone(), MOST)))
            .collect();
        scene.assert_neighbour_is_served().await;
        for flood in floods {
            let sent = flood.await.expect("no panic");
            println!("{what}: the gateway and the kernel took {sent} bytes of a flood");
            assert!(sent < MOST, "{what}: who does not listen must not be heard for ever");
        }
        scene.assert_grew_at_most(3 * MIB);
    }
    scene.assert_all_gone().await;
}

#[tokio::test]
async fn a_client_that_asks_without_a_pause_and_listens_leaves_the_others_alone() {
    let mut scene = Scene::begin(&[]).await;
    let mut busy = Vec::new();
    for _ in 0..3 {
        let mut socket = scene.client.connect_with("").await;
        busy.push(tokio::spawn(async move {
            loop {
                assert!(matches!(socket.ask(json!({"type": "menu"})).await["type"].as_str(), Some("reply" | "error")));
            }
        }));
    }
    for _ in 0..10 {
        scene.assert_neighbour_is_served().await;
    }
    busy.iter().for_each(tokio::task::JoinHandle::abort);
    drop(busy);
    scene.assert_all_gone().await;
    scene.assert_grew_at_most(0);
}
