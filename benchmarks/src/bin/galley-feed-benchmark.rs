//! What the staff feed costs: the processor time of a gateway with watchers, at a given rate of orders.
//!
//! An open model: orders are placed at their moments, through another gateway, so that the one that is measured only hears
//! and tells. Each order is three updates when the worker runs with a processing delay of `0s`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use galley_benchmarks::client::Client;

/// Measures what the staff feed costs
#[derive(Parser)]
struct Arguments {
    /// Address of the gateway that is measured
    #[arg(long)]
    watched: SocketAddr,
    /// Its process id
    #[arg(long)]
    pid: u32,
    /// Address of the gateway through which orders are placed
    #[arg(long)]
    placing: SocketAddr,
    /// Watchers of the whole feed, ten frames a second each
    #[arg(long, default_value_t = 10)]
    watchers: usize,
    /// Orders placed a second
    #[arg(long)]
    orders_per_s: f64,
    /// How long, in seconds; less than a silent socket may live
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Connections that place orders.
const PLACERS: u32 = 32;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut staff = Client::connect(arguments.placing).await?;
    let hero = staff.create("/heroes", json!({"name": "Bench", "planet": "Earth"})).await?;
    let meal = staff.create("/meals", json!({"name": "Bench", "price": 1, "origin_planet": "Earth"})).await?;
    let body = json!({"hero_id": hero, "meal_id": meal}).to_string();
    let end = Instant::now() + Duration::from_secs(arguments.seconds);

    let mut watchers = JoinSet::new();
    for _ in 0..arguments.watchers {
        watchers.spawn(watch(arguments.watched, end));
    }
    let before = processor_millis(arguments.pid)?;
    let mut placers = JoinSet::new();
    for number in 0..PLACERS {
        let period = Duration::from_secs_f64(f64::from(PLACERS) / arguments.orders_per_s);
        let client = Client::connect(arguments.placing).await?;
        placers.spawn(place(client, body.clone(), period, period * number / PLACERS, end));
    }
    let mut placed = 0;
    while let Some(count) = placers.join_next().await {
        placed += count??;
    }
    let mut bytes = 0;
    while let Some(read) = watchers.join_next().await {
        bytes += read??;
    }
    let used = processor_millis(arguments.pid)? - before;
    let a_second = |count: u64| count / arguments.seconds;
    println!(
        "{}",
        json!({
            "watchers": arguments.watchers,
            "updates_per_s": a_second(3 * placed),
            "processor_ms_per_s": a_second(used),
            "kilobytes_per_s": a_second(bytes) / 1_000,
        })
    );
    Ok(())
}

/// Watches the feed, and counts the bytes.
async fn watch(address: SocketAddr, end: Instant) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    let handshake = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).await?;
    let words = b"watch";
    // One text frame of five bytes, masked with zeros (RFC 6455 section 5.2).
    stream.write_all(&[0x81, 0x80 | 5, 0, 0, 0, 0]).await?;
    stream.write_all(words).await?;
    let (mut bytes, mut buffer) = (0, vec![0; 256 * 1_024]);
    while let Ok(read) = tokio::time::timeout_at(end.into(), stream.read(&mut buffer)).await {
        let read = read?;
        ensure!(read > 0, "the gateway closed a watcher");
        bytes += read as u64;
    }
    Ok(bytes)
}

/// Places an order each period, until the end; says how many.
async fn place(mut client: Client, body: String, period: Duration, first: Duration, end: Instant) -> anyhow::Result<u64> {
    let mut moments = tokio::time::interval_at(tokio::time::Instant::now() + first, period);
    moments.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut placed = 0;
    while tokio::time::timeout_at(end.into(), moments.tick()).await.is_ok() {
        let (status, _) = client.post("/orders", body.clone()).await?;
        ensure!(status == 202, "an order was answered {status}");
        placed += 1;
    }
    Ok(placed)
}

/// The processor time that a process has used so far (proc(5)): fields 14 and 15 of its `stat`, in hundredths of a second.
fn processor_millis(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or_default()).sum();
    Ok(ticks * 10)
}
