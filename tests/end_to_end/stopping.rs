//! A stop takes bounded time, whatever hangs.

use std::time::{Duration, Instant};

use galley_tests::program::Signal;
use galley_tests::proxy::Ways;
use galley_tests::{
    PostgresServer, Proxy, RedisServer, TestProgram, TestStack, port, until, within,
};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// The longest time of a stop beyond its delay and its window: five seconds for requests in flight,
/// five for publishing, two for the close, five for the database, two for remaining tasks.
const BOUND: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_program_that_waits_for_its_database_stops_at_once() {
    let stack = TestStack::distributed().gateways(0).workers(0).start().await;
    let away = format!("postgres://127.0.0.1:{}/none", port::free());
    for name in ["galley-gateway", "galley-worker"] {
        let mut program = stack.launch(name, &[("DATABASE_URL", &away)]);
        program.line("waiting for the database").await;
        assert!(stop(&mut program).await < Duration::from_secs(3), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_a_database_that_hangs() {
    let postgres = PostgresServer::start().await;
    let proxy = Proxy::start(postgres.port).await;
    let url = postgres.url().replace(&postgres.port.to_string(), &proxy.port().to_string());
    let stack = TestStack::distributed().postgres(url).delay("1h").start().await;
    stop_both(stack, &proxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_a_redis_that_hangs() {
    let (_redis, proxy) = RedisServer::behind_proxy().await;
    let stack = TestStack::distributed()
        .redis(format!("redis://127.0.0.1:{}", proxy.port()))
        .delay("1h")
        .start()
        .await;
    stop_both(stack, &proxy).await;
}

/// Stops gateway and worker while the proxy is stalled and orders are in progress.
async fn stop_both(mut stack: TestStack, proxy: &Proxy) {
    let client = stack.client();
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    client.place_until(hero, meal, "IN_PROGRESS").await;
    proxy.stall(Ways { to_server: true, to_clients: true });
    socket.say(&json!({"type": "place", "meal_id": meal}).to_string()).await;
    let TestStack { gateways, workers, .. } = &mut stack;
    let (gateway, worker) = tokio::join!(stop(&mut gateways[0].program), stop(&mut workers[0]));
    proxy.stall(Ways::default());
    drop(stack);
    println!("the gateway stopped after {gateway:?}, the worker after {worker:?}");
    assert!(gateway < BOUND && worker < BOUND, "{gateway:?}, {worker:?}");
}

#[tokio::test]
async fn stuck_clients_hold_a_stop_up_for_seconds_only() {
    let (mut stack, client, hero, meal) =
        TestStack::embedded().delay("1h").start_with_hero_and_meal().await;
    let address = client.base().trim_start_matches("http://").to_owned();
    // A head and a body that never end, and a socket and a stream that are never read.
    let mut connections = Vec::new();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    for request in [
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_owned(),
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{".to_owned(),
        format!("GET /ws?hero_id={hero} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n\r\n"),
        format!("GET /heroes/{hero}/events HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ] {
        let mut connection = TcpStream::connect(&address).await.expect("a connection");
        set_socket_recv_buffer_size(&connection, 4_096).expect("an option");
        connection.write_all(request.as_bytes()).await.expect("sent");
        connections.push(connection);
    }
    until("the socket and the stream", async || {
        (client.metric("galley_sockets").await == 2).then_some(())
    })
    .await;
    for _ in 0..200 {
        client.place(hero, meal).await;
    }
    let took = stop(&mut stack.gateways[0].program).await;
    println!("stopped after {took:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut stack = TestStack::embedded().set("GALLEY_SHUTDOWN_DELAY", "1h").start().await;
    let program = &mut stack.gateways[0].program;
    program.signal(Signal::TERM);
    program.line("a second signal ends at once").await;
    program.signal(Signal::TERM);
    assert_eq!(within("the end", program.exit()).await.code(), Some(130));
}

/// Stops a program orderly, and returns how long that took.
async fn stop(program: &mut TestProgram) -> Duration {
    let began = Instant::now();
    program.stop().await;
    began.elapsed()
}
