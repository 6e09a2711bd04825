//! Native pings find peers that vanished without a close.

use std::process::Stdio;
use std::time::{Duration, Instant};

use galley_tests::program::{Signal, command, path_of};
use galley_tests::raw_connection::RawOpcode;
use galley_tests::{RawSocket, StackBuilder, TestClient, TestProgram, until, within};

const INTERVAL: Duration = Duration::from_millis(600);
const TIMEOUT: Duration = Duration::from_millis(400);
/// The number of pings: enough intervals to detect a dead peer many times over.
const MANY: usize = 8;
const RECEIVE_BUFFER: u32 = 8 * 1_024;

fn impatient(stack: StackBuilder) -> StackBuilder {
    let millis = |time: Duration| format!("{}ms", time.as_millis());
    stack
        .set("GALLEY_PING_INTERVAL", &millis(INTERVAL))
        .set("GALLEY_PONG_TIMEOUT", &millis(TIMEOUT))
}

async fn until_sockets(client: &TestClient, count: u64) {
    let what = format!("{count} connected sockets");
    until(&what, async || (client.metric("galley_sockets").await == count).then_some(())).await;
}

on_both_deployments!(a_peer_that_answers_nothing_is_given_up_in_time);
async fn a_peer_that_answers_nothing_is_given_up_in_time(stack: StackBuilder) {
    let (_stack, client, hero, _) = impatient(stack).start_with_hero_and_meal().await;
    let mut socket = RawSocket::open(client.base(), hero, RECEIVE_BUFFER).await;
    until_sockets(&client, 1).await;
    let last_sign = Instant::now();
    socket.send(RawOpcode::TEXT, br#"{"type":"ping"}"#).await;
    within("the end", socket.until_gone()).await;
    let silent = last_sign.elapsed();
    assert!(silent >= INTERVAL + TIMEOUT, "given up after {silent:?}");
    assert!(silent < 10 * (INTERVAL + TIMEOUT), "given up after {silent:?} only");
    until_sockets(&client, 0).await;
}

on_both_deployments!(a_peer_that_was_stopped_is_given_up);
async fn a_peer_that_was_stopped_is_given_up(stack: StackBuilder) {
    let (_stack, client, hero, _) = impatient(stack).start_with_hero_and_meal().await;
    let mut websocat = command(path_of("websocat-stand-in"));
    websocat.arg(client.socket_url(&format!("?hero_id={hero}"))).stdin(Stdio::piped());
    let mut peer = TestProgram::start("websocat", &mut websocat);
    peer.line("welcome").await;
    until_sockets(&client, 1).await;
    peer.signal(Signal::STOP);
    until_sockets(&client, 0).await;
    peer.signal(Signal::CONT);
    peer.exit().await;
}

on_both_deployments!(a_peer_that_only_answers_pings_stays);
async fn a_peer_that_only_answers_pings_stays(stack: StackBuilder) {
    let (_stack, client, hero, _) = impatient(stack).start_with_hero_and_meal().await;
    let mut socket = RawSocket::open(client.base(), hero, RECEIVE_BUFFER).await;
    answer_pings(&mut socket, RawOpcode::PONG, b"").await;
    until_sockets(&client, 1).await;
}

on_both_deployments!(whatever_a_peer_sends_shows_that_it_lives);
async fn whatever_a_peer_sends_shows_that_it_lives(stack: StackBuilder) {
    let (_stack, client, hero, _) = impatient(stack).start_with_hero_and_meal().await;
    for (opcode, payload) in
        [(RawOpcode::TEXT, &b"menu"[..]), (RawOpcode::PING, b"you?"), (RawOpcode::TEXT, b"{")]
    {
        let mut socket = RawSocket::open(client.base(), hero, RECEIVE_BUFFER).await;
        answer_pings(&mut socket, opcode, payload).await;
    }
}

/// Answers each of many pings with only this frame.
async fn answer_pings(socket: &mut RawSocket, opcode: RawOpcode, payload: &[u8]) {
    let mut pings = 0;
    while pings < MANY {
        let (received, _) = within("a ping", socket.frame())
            .await
            .unwrap_or_else(|| panic!("gone after {pings} pings"));
        if received == RawOpcode::PING {
            pings += 1;
            socket.send(opcode, payload).await;
        }
    }
}
