//! `galley order …`

mod until_ended;

use std::fmt::Display;

use clap::Subcommand;
use galley_protocol::{
    HeroId, HeroRef, IdempotencyKey, MealId, MealRef, Order, OrderId, ReasonText, Status, Timestamp,
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::api::{Api, Remote};
use super::error::CommandError;
use super::named::Named;
use super::output::{card, optional, parse_status, table};
use super::paging::Paging;

/// The commands for orders.
#[derive(Subcommand)]
pub enum OrderCommand {
    /// List orders, newest first
    #[command(
        after_help = "Examples:\n  galley order list\n  galley order list --hero 1 --status pending --status in-progress"
    )]
    List {
        #[command(flatten)]
        paging: Paging,
        /// Only orders of this hero, by id or name
        #[arg(long, value_name = "HERO")]
        hero: Option<Named<HeroId>>,
        /// Only orders of this meal, by id or name
        #[arg(long, value_name = "MEAL")]
        meal: Option<Named<MealId>>,
        /// Only orders placed at this time or later, such as 2030-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// Only orders placed before this time
        #[arg(long, value_name = "TIME")]
        to: Option<Timestamp>,
        /// Only orders with this status: pending, in-progress, completed, cancelled; repeat for
        /// more
        #[arg(long, value_parser = parse_status)]
        status: Vec<Status>,
    },
    /// Show an order
    #[command(after_help = "Example:\n  galley order get 7")]
    Get {
        /// Id of the order
        id: OrderId,
    },
    /// Order a meal for a hero
    #[command(
        visible_alias = "create",
        after_help = PLACING
    )]
    Place {
        /// The hero that orders, by id or name
        #[arg(long, value_name = "HERO")]
        hero: Named<HeroId>,
        /// The meal to order, by id or name
        #[arg(long, value_name = "MEAL")]
        meal: Named<MealId>,
        /// Idempotency key: repeating the command with it returns the same order
        #[arg(long, value_parser = IdempotencyKey::parse)]
        key: Option<IdempotencyKey>,
        /// Wait until the order has ended, and print each of its states; the exit code tells the
        /// end
        #[arg(long)]
        wait: bool,
    },
    /// Cancel an order that is pending or in progress
    #[command(after_help = "Example:\n  galley order cancel 7 --reason hungry-no-more")]
    Cancel {
        /// Id of the order
        id: OrderId,
        /// Reason, for people
        #[arg(long, value_name = "TEXT", value_parser = ReasonText::parse)]
        reason: Option<ReasonText>,
        /// Do it only while the order has this version; otherwise exit code 5
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
    /// Delete an order that has ended; one that is active is cancelled instead
    #[command(after_help = "Example:\n  galley order delete 7 --if-version 3")]
    Delete {
        /// Id of the order
        id: OrderId,
        /// Reason, when the order is cancelled
        #[arg(long, value_name = "TEXT", value_parser = ReasonText::parse)]
        reason: Option<ReasonText>,
        /// Do it only while the order has this version; otherwise exit code 5
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
}

/// An order in any answer, with or without the names.
#[derive(Deserialize)]
struct OrderRow {
    #[serde(flatten)]
    order: Order,
    hero: Option<HeroRef>,
    meal: Option<MealRef>,
}

const PLACING: &str = "\
With --wait the command ends when the order has ended. The exit code is 0 when
it was completed, 10 when it was cancelled, and 11 when it had not ended within
--timeout. Each state is one line; with --json each is the order as JSON. A lost
connection is made again, and no state is missed.

Examples:
  galley order place --hero 1 --meal 2
  galley order place --hero Nova --meal 'Peanut soup' --wait --timeout 30s
  galley order place --hero 1 --meal 2 --key lunch-of-today";

/// Runs one command.
pub async fn run(command: OrderCommand, remote: Remote) -> Result<(), CommandError> {
    let api = remote.open()?;
    match command {
        OrderCommand::List { paging, hero, meal, from, to, status } => {
            let mut filters = Vec::new();
            if let Some(hero) = hero {
                filters.push(("hero_id", hero.resolve(&api).await?.to_string()));
            }
            if let Some(meal) = meal {
                filters.push(("meal_id", meal.resolve(&api).await?.to_string()));
            }
            filters.extend(from.map(|time| ("from", time.to_string())));
            filters.extend(to.map(|time| ("to", time.to_string())));
            filters.extend(status.iter().map(|status| ("status", status.to_string())));
            paging.print(&api, api.request(Method::GET, "/orders").query(&filters), show_all).await
        }
        OrderCommand::Get { id } => {
            api.ask(api.request(Method::GET, &format!("/orders/{id}"))).await?.print(show)
        }
        OrderCommand::Place { hero, meal, key, wait } => place(&api, &hero, &meal, key, wait).await,
        OrderCommand::Cancel { id, reason, if_version } => {
            let body = reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
            let request =
                api.guarded(Method::POST, &format!("/orders/{id}/cancel"), if_version).json(&body);
            api.ask(request).await?.print(show)
        }
        OrderCommand::Delete { id, reason, if_version } => {
            let request = api.guarded(Method::DELETE, &format!("/orders/{id}"), if_version);
            let request = if let Some(reason) = reason {
                request.query(&[("reason", reason.as_str())])
            } else {
                request
            };
            let answer = api.ask(request).await?;
            if answer.body.is_empty() {
                answer.done(&format!("order {id} is deleted"))
            } else {
                answer.print(show)
            }
        }
    }
}

async fn place(
    api: &Api,
    hero: &Named<HeroId>,
    meal: &Named<MealId>,
    key: Option<IdempotencyKey>,
    wait: bool,
) -> Result<(), CommandError> {
    let begin = Instant::now();
    let body = json!({"hero_id": hero.resolve(api).await?, "meal_id": meal.resolve(api).await?});
    let request = api.request(Method::POST, "/orders").json(&body);
    let request = if let Some(key) = key {
        request.header("Idempotency-Key", key.as_str().as_bytes())
    } else {
        request
    };
    let answer = api.ask(request).await?;
    if wait {
        until_ended::run(api.remote(), answer.read()?, begin).await
    } else {
        answer.print(show)
    }
}

fn show(OrderRow { order, hero, meal }: OrderRow) -> String {
    card([
        ("id", order.id.to_string()),
        ("hero", named(order.hero_id, hero.map(|hero| hero.name))),
        ("meal", named(order.meal_id, meal.map(|meal| meal.name))),
        ("status", order.status.to_string()),
        ("message", optional(order.message)),
        ("version", order.version.to_string()),
        ("ordered", order.order_time.to_string()),
        ("started", optional(order.started_time)),
        ("ended", optional(order.completed_time)),
    ])
}

fn show_all(orders: Vec<OrderRow>) -> String {
    let row = |OrderRow { order, hero, meal }: OrderRow| {
        [
            order.id.to_string(),
            order.status.to_string(),
            named(order.hero_id, hero.map(|hero| hero.name)),
            named(order.meal_id, meal.map(|meal| meal.name)),
            order.order_time.to_string(),
            optional(order.message),
        ]
    };
    table(["id", "status", "hero", "meal", "ordered", "message"], orders.into_iter().map(row))
}

fn named(id: impl Display, name: Option<impl Display>) -> String {
    name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})"))
}
