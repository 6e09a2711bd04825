//! The baseline of orders per second: the SQL batches and Redis pipelines of a gateway and a
//! worker, without gateway, worker and client.
//!
//! It runs three kinds of tasks, like the service. Writers place orders and publish them; one task
//! consumes the queue, claims and acknowledges; one completes and publishes. The difference to
//! Galley is the cost of everything else: HTTP, sockets, JSON and batching.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use clap::Parser;
use galley_bus::{BusConfig, Queue, SharedBus};
use galley_protocol::{
    HeroId, IncarnationId, MealId, NewHero, NewMeal, OfHero, Order, OrderId, PlaceOrder, Update,
};
use galley_store::{Claim, ClaimFrom, MAX_BATCH, PlaceVerdict, Store};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Places, claims and completes orders in batches, without a service
#[derive(Parser)]
struct OrdersArguments {
    /// The database; its schema must be there
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Redis; within this process when absent
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// What every key begins with
    #[arg(long, default_value = "galley:baseline")]
    namespace: String,
    /// Orders that wait for their answer at the same time, shared out among the writers
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Batches at the same time, as many as a gateway has writers
    #[arg(long, default_value_t = 2)]
    writers: usize,
    /// How long orders are placed, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Timeout for the completion of the last orders.
const PATIENCE: Duration = Duration::from_mins(1);
/// Maximum claimed batches that wait for their completion; beyond it, no more are claimed.
const MAX_CLAIMED: usize = 64;

#[derive(Default)]
struct BaselineCounts {
    placed: AtomicU64,
    ended: AtomicU64,
    placing: AtomicBool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = OrdersArguments::parse();
    let store = galley_store::connect(&arguments.database_url).await?;
    let config = BusConfig {
        url: arguments.redis_url.clone(),
        namespace: arguments.namespace.clone(),
        ..BusConfig::default()
    };
    let bus = galley_bus::connect(&config).await?;
    let hero = json!({"name": "Baseline", "planet": "Earth", "allergies": ["peanut"]});
    let meal = json!({"name": "Baseline", "price": 1, "origin_planet": "Earth", "ingredients": ["rice", "salt"]});
    let hero = store
        .heroes()
        .create(&NewHero::from_json(hero).map_err(|problem| anyhow!(problem.detail))?)
        .await?
        .id;
    let meal = store
        .meals()
        .create(&NewMeal::from_json(meal).map_err(|problem| anyhow!(problem.detail))?)
        .await?
        .id;
    let worker = store.enlist().await?;
    let queue = bus.queue(worker).await?;

    let counts =
        Arc::new(BaselineCounts { placing: AtomicBool::new(true), ..BaselineCounts::default() });
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    let batch = (arguments.in_flight / arguments.writers).clamp(1, MAX_BATCH);
    let mut writers = JoinSet::new();
    for _ in 0..arguments.writers {
        writers.spawn(place(
            Arc::clone(&store),
            bus.clone(),
            (hero, meal),
            batch,
            Arc::clone(&counts),
        ));
    }
    let (claimed, to_complete) = mpsc::channel(MAX_CLAIMED);
    tasks.spawn(take(Arc::clone(&store), queue, worker, claimed));
    tasks.spawn(complete(
        Arc::clone(&store),
        bus.clone(),
        worker,
        to_complete,
        Arc::clone(&counts),
    ));

    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    counts.placing.store(false, Ordering::Relaxed);
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    let placed = begin.elapsed();
    let orders = counts.placed.load(Ordering::Relaxed);
    while counts.ended.load(Ordering::Relaxed) < orders {
        ensure!(
            begin.elapsed() < placed + PATIENCE,
            "orders are still active a minute after the last was placed"
        );
        if let Some(failed) = tasks.try_join_next() {
            failed??;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ended = begin.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 orders")]
    let a_second = |elapsed: Duration| (orders as f64 / elapsed.as_secs_f64()).round();
    println!(
        "{}",
        json!({"orders": orders, "batch": batch, "accepted_per_s": a_second(placed), "ended_per_s": a_second(ended)})
    );
    Ok(())
}

/// Does the work of a gateway's writer: a batch, its commit, then entries and updates in one
/// pipeline.
async fn place(
    store: Arc<dyn Store>,
    bus: SharedBus,
    (hero_id, meal_id): (HeroId, MealId),
    batch: usize,
    counts: Arc<BaselineCounts>,
) -> anyhow::Result<()> {
    let requests = vec![OfHero { hero_id, command: PlaceOrder::of(meal_id) }; batch];
    while counts.placing.load(Ordering::Relaxed) {
        let verdicts = store.place(&requests).await?;
        let orders: Vec<Order> = verdicts
            .into_iter()
            .map(|verdict| match verdict {
                PlaceVerdict::Placed(order) => Ok(order),
                refused @ (PlaceVerdict::Replayed(_)
                | PlaceVerdict::KeyReused
                | PlaceVerdict::HeroNotFound
                | PlaceVerdict::MealNotFound) => {
                    anyhow::bail!("an order was not placed: {refused:?}")
                }
            })
            .collect::<anyhow::Result<_>>()?;
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
        bus.publish(&updates(&orders), &ids).await?;
        counts.placed.fetch_add(orders.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Does the work of a worker's consumer: reads entries, claims their orders, then publishes the
/// updates and acknowledges in one pipeline.
async fn take(
    store: Arc<dyn Store>,
    mut queue: Box<dyn Queue>,
    worker: IncarnationId,
    claimed: mpsc::Sender<Vec<OrderId>>,
) -> anyhow::Result<()> {
    loop {
        let entries = queue.next(MAX_BATCH).await?;
        if entries.is_empty() {
            continue;
        }
        let ids: Vec<OrderId> = entries.iter().map(|entry| entry.order_id).collect();
        let claim =
            Claim { from: ClaimFrom::Entries(&ids), delay: Duration::ZERO..=Duration::ZERO };
        let orders: Vec<Order> =
            store.claim(worker, claim).await?.into_iter().map(|claimed| claimed.order).collect();
        queue.settle(&entries, &updates(&orders)).await?;
        claimed
            .send(orders.iter().map(|order| order.id).collect())
            .await
            .context("nobody completes")?;
    }
}

/// Does the work of a worker's completer: completes everything that is due in one statement, then
/// publishes the updates.
async fn complete(
    store: Arc<dyn Store>,
    bus: SharedBus,
    worker: IncarnationId,
    mut claimed: mpsc::Receiver<Vec<OrderId>>,
    counts: Arc<BaselineCounts>,
) -> anyhow::Result<()> {
    while let Some(mut ids) = claimed.recv().await {
        while ids.len() < MAX_BATCH
            && let Ok(more) = claimed.try_recv()
        {
            ids.extend(more);
        }
        for ids in ids.chunks(MAX_BATCH) {
            let orders = store.complete(worker, ids).await?;
            bus.publish(&updates(&orders), &[]).await?;
            counts.ended.fetch_add(orders.len() as u64, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn updates(orders: &[Order]) -> Vec<Update> {
    orders.iter().map(Update::of).collect()
}
