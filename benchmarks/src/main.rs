//! Orders a second over REST: accepted, and from the POST to the final state in the database.
//!
//! A closed model: each client has one connection and sends its next order when the last one is answered. The gateway must
//! run with a processing delay of `0s`, or the second figure measures the delay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use hdrhistogram::Histogram;
use serde_json::json;

use galley_benchmarks::client::Client;

/// Measures orders a second over REST
#[derive(Parser)]
struct Arguments {
    /// Address of the gateway
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: std::net::SocketAddr,
    /// Clients at the same time, each with one connection
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How long orders are placed, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds of orders before the measurement
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
}

/// How long orders may take to end after the last was placed.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut staff = Client::connect(arguments.address).await?;
    let hero = staff.create("/heroes", json!({"name": "Bench", "planet": "Earth", "allergies": ["peanut"]})).await?;
    let meal = json!({"name": "Bench", "price": 1, "origin_planet": "Earth", "ingredients": ["rice", "salt"]});
    let meal = staff.create("/meals", meal).await?;
    let body = json!({"hero_id": hero, "meal_id": meal}).to_string();

    place(&arguments, Duration::from_secs(arguments.warm_up), &body).await?;
    all_ended(&mut staff).await?;
    let begin = Instant::now();
    let latencies = place(&arguments, Duration::from_secs(arguments.seconds), &body).await?;
    let placed = begin.elapsed();
    all_ended(&mut staff).await?;
    let ended = begin.elapsed();

    let rate = |elapsed: Duration| {
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52 orders")]
        let count = latencies.len() as f64;
        count / elapsed.as_secs_f64()
    };
    let millis = |quantile: f64| Duration::from_micros(latencies.value_at_quantile(quantile)).as_secs_f64() * 1_000.0;
    println!(
        "{}",
        json!({
            "orders": latencies.len(),
            "accepted_per_s": rate(placed).round(),
            "ended_per_s": rate(ended).round(),
            "ack_p50_ms": millis(0.5),
            "ack_p99_ms": millis(0.99),
        })
    );
    Ok(())
}

/// Places orders for some time; gives the microseconds from request to answer.
async fn place(arguments: &Arguments, time: Duration, body: &str) -> anyhow::Result<Histogram<u64>> {
    let end = Instant::now() + time;
    let failed = Arc::new(AtomicU64::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..arguments.clients {
        let mut client = Client::connect(arguments.address).await?;
        let (body, failed) = (body.to_owned(), Arc::clone(&failed));
        clients.spawn(async move {
            let mut latencies = Histogram::<u64>::new(3)?;
            while Instant::now() < end {
                let begin = Instant::now();
                let (status, _) = client.post("/orders", body.clone()).await?;
                if status == 202 {
                    latencies.record(u64::try_from(begin.elapsed().as_micros())?)?;
                } else {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            anyhow::Ok(latencies)
        });
    }
    let mut whole = Histogram::<u64>::new(3)?;
    while let Some(latencies) = clients.join_next().await {
        whole.add(latencies??)?;
    }
    let failed = failed.load(Ordering::Relaxed);
    ensure!(failed == 0, "{failed} orders were not accepted");
    Ok(whole)
}

/// Waits until no order is active.
async fn all_ended(staff: &mut Client) -> anyhow::Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let page = staff.get("/orders?limit=1&status=PENDING&status=IN_PROGRESS").await?;
        if page["items"].as_array().context("a page has items")?.is_empty() {
            return Ok(());
        }
    }
    anyhow::bail!("orders are still active a minute after the last was placed")
}
