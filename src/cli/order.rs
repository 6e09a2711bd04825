//! `galley order …`

use std::fmt::Display;

use clap::Subcommand;
use galley_launch::Failure;
use galley_protocol::{HeroId, HeroRef, IdempotencyKey, MealId, MealRef, Order, OrderId, ReasonText, Status};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::api::Remote;
use super::output::{card, optional, table};
use super::paging::Paging;

/// What to do with orders.
#[derive(Subcommand)]
pub enum OrderCommand {
    /// List orders, newest first
    #[command(after_help = "Examples:\n  galley order list\n  galley order list --hero 1 --status pending --status in-progress")]
    List {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        paging: Paging,
        /// Only this hero's
        #[arg(long, value_name = "ID")]
        hero: Option<HeroId>,
        /// Only of this meal
        #[arg(long, value_name = "ID")]
        meal: Option<MealId>,
        /// Only these: pending, in-progress, completed, cancelled; repeat for more
        #[arg(long, value_parser = parse_status)]
        status: Vec<Status>,
    },
    /// Show an order
    #[command(after_help = "Example:\n  galley order get 7")]
    Get {
        #[command(flatten)]
        remote: Remote,
        /// Which order
        id: OrderId,
    },
    /// Order a meal for a hero
    #[command(
        visible_alias = "create",
        after_help = "Examples:\n  galley order place --hero 1 --meal 2\n  galley order place --hero 1 --meal 2 --key lunch-of-today"
    )]
    Place {
        #[command(flatten)]
        remote: Remote,
        /// Who orders
        #[arg(long, value_name = "ID")]
        hero: HeroId,
        /// What
        #[arg(long, value_name = "ID")]
        meal: MealId,
        /// Repeating the command with the same key places nothing new
        #[arg(long, value_parser = IdempotencyKey::parse)]
        key: Option<IdempotencyKey>,
    },
    /// Cancel an order that is pending or in progress
    #[command(after_help = "Example:\n  galley order cancel 7 --reason hungry-no-more")]
    Cancel {
        #[command(flatten)]
        remote: Remote,
        /// Which order
        id: OrderId,
        /// Why
        #[arg(long, value_name = "TEXT", value_parser = ReasonText::parse)]
        reason: Option<ReasonText>,
        /// Only while it has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
    /// Delete an order that has ended; one that is active is cancelled instead
    #[command(after_help = "Example:\n  galley order delete 7 --if-version 3")]
    Delete {
        #[command(flatten)]
        remote: Remote,
        /// Which order
        id: OrderId,
        /// Why, when it is cancelled
        #[arg(long, value_name = "TEXT", value_parser = ReasonText::parse)]
        reason: Option<ReasonText>,
        /// Only while it has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
}

/// An order as any answer shows it, with or without the names.
#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    order: Order,
    hero: Option<HeroRef>,
    meal: Option<MealRef>,
}

/// Does it.
pub async fn run(command: OrderCommand) -> Result<(), Failure> {
    match command {
        OrderCommand::List { remote, paging, hero, meal, status } => {
            let api = remote.open()?;
            let mut filters = Vec::new();
            filters.extend(hero.map(|id| ("hero_id", id.to_string())));
            filters.extend(meal.map(|id| ("meal_id", id.to_string())));
            filters.extend(status.iter().map(|status| ("status", status.to_string())));
            paging.print(&api, api.request(Method::GET, "/orders").query(&filters), show_all).await
        }
        OrderCommand::Get { remote, id } => {
            let api = remote.open()?;
            api.ask(api.request(Method::GET, &format!("/orders/{id}"))).await?.print(show)
        }
        OrderCommand::Place { remote, hero, meal, key } => {
            let api = remote.open()?;
            let request = api.request(Method::POST, "/orders").json(&json!({"hero_id": hero, "meal_id": meal}));
            let request = if let Some(key) = key { request.header("Idempotency-Key", key.as_str().as_bytes()) } else { request };
            api.ask(request).await?.print(show)
        }
        OrderCommand::Cancel { remote, id, reason, if_version } => {
            let api = remote.open()?;
            let body = reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
            let request = api.guarded(Method::POST, &format!("/orders/{id}/cancel"), if_version).json(&body);
            api.ask(request).await?.print(show)
        }
        OrderCommand::Delete { remote, id, reason, if_version } => {
            let api = remote.open()?;
            let request = api.guarded(Method::DELETE, &format!("/orders/{id}"), if_version);
            let request = if let Some(reason) = reason { request.query(&[("reason", reason.as_str())]) } else { request };
            let answer = api.ask(request).await?;
            if answer.body.is_empty() { answer.done(&format!("order {id} is deleted")) } else { answer.print(show) }
        }
    }
}

/// `in-progress` and `IN_PROGRESS` are the same.
fn parse_status(text: &str) -> Result<Status, String> {
    text.to_uppercase().replace('-', "_").parse().map_err(|_| "must be pending, in-progress, completed or cancelled".to_owned())
}

fn show(Shown { order, hero, meal }: Shown) -> String {
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

fn show_all(orders: Vec<Shown>) -> String {
    let row = |Shown { order, hero, meal }: Shown| {
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

#[cfg(test)]
mod tests {
    use galley_protocol::Status;

    use super::parse_status;

    #[test]
    fn a_status_may_be_typed_in_lower_case() {
        for text in ["in-progress", "IN_PROGRESS", "in_progress"] {
            assert_eq!(parse_status(text), Ok(Status::InProgress));
        }
        assert!(parse_status("done").is_err());
    }
}
