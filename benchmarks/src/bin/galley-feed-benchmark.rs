//! Measures the cost of the staff feed: the processor time of a gateway with watchers, at a given
//! rate of updates.
//!
//! Updates are published directly on the bus, as a worker does. Their orders are in no database.
//! The rate is therefore not limited by placing orders, and the gateway only receives and sends.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::Parser;
use galley_bus::{BusConfig, SharedBus};
use galley_protocol::{
    HeroId, MealId, Order, OrderId, PlaceOrder, Status, Timestamp, Update, Version,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Measures what the staff feed costs
#[derive(Parser)]
struct FeedArguments {
    /// Address of the gateway that is measured
    #[arg(long)]
    watched: SocketAddr,
    /// Its process id
    #[arg(long)]
    pid: u32,
    /// The bus on which it hears updates
    #[arg(long, env = "REDIS_URL")]
    redis_url: String,
    /// Watchers of the whole feed, ten frames a second each
    #[arg(long, default_value_t = 10)]
    watchers: usize,
    /// Updates published a second, three of each order
    #[arg(long)]
    updates_per_s: u32,
    /// How long, in seconds; less than a silent socket may live
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Batches published per second, or one update each if there are fewer updates. Workers publish one
/// batch per commit.
const BATCHES_PER_S: u32 = 100;
/// Heroes of the orders; none of them is connected.
const HEROES: i64 = 1_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = FeedArguments::parse();
    let bus =
        galley_bus::connect(&BusConfig { url: Some(arguments.redis_url), ..BusConfig::default() })
            .await?;
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let mut watchers = JoinSet::new();
    for _ in 0..arguments.watchers {
        watchers.spawn(watch(arguments.watched, end));
    }
    let before = processor_millis(arguments.pid)?;
    let published = publish(bus, arguments.updates_per_s, end).await?;
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
            "updates_per_s": a_second(published),
            "processor_ms_per_s": a_second(used),
            "kilobytes_per_s": a_second(bytes) / 1_000,
        })
    );
    Ok(())
}

/// Publishes the transitions of one order after the other at this rate, until the end. Returns the
/// number of updates.
async fn publish(bus: SharedBus, updates_per_s: u32, end: Instant) -> anyhow::Result<u64> {
    let batches_per_s = BATCHES_PER_S.min(updates_per_s);
    let mut moments = tokio::time::interval(Duration::from_secs(1) / batches_per_s);
    moments.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut published = 0;
    while Instant::now() < end {
        moments.tick().await;
        let batch = (0..u64::from(updates_per_s / batches_per_s))
            .map(|n| update(published + n))
            .collect::<anyhow::Result<Vec<_>>>()?;
        bus.publish(&batch, &[]).await?;
        published += batch.len() as u64;
    }
    Ok(published)
}

/// Returns one of the three transitions of an order.
fn update(number: u64) -> anyhow::Result<Update> {
    let (order, step) = (i64::try_from(number / 3)?, number % 3);
    let now = Timestamp::from_millis(i64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis(),
    )?)
    .context("the clock")?;
    let (status, version) = [(Status::Pending, 1), (Status::InProgress, 2), (Status::Completed, 3)]
        [usize::try_from(step)?];
    let id = OrderId::new(1_000_000_000 + order).context("an id")?;
    let placed = Order::placed(
        id,
        HeroId::new(1 + order % HEROES).context("an id")?,
        &PlaceOrder::of(MealId::new(1).context("an id")?),
        now,
    );
    let order = Order {
        status,
        version: Version(version),
        started_time: (step > 0).then_some(now),
        completed_time: (step > 1).then_some(now),
        ..placed
    };
    Ok(Update::of(&order))
}

/// Watches the feed and returns the number of bytes received.
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

/// Returns the processor time of a process so far, in milliseconds: fields 14 and 15 of its `stat`
/// in `proc(5)`, in ticks of 10 ms.
fn processor_millis(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap_or_default())
        .sum();
    Ok(ticks * 10)
}
