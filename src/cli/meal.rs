//! `galley meal …`

use clap::{Args, Subcommand};
use galley_launch::Failure;
use galley_protocol::{Description, Ingredient, Meal, MealId, MealName, NewMeal, Planet, Price};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::api::Remote;
use super::output::{card, list, table};
use super::paging::Paging;

/// What to do with meals.
#[derive(Subcommand)]
pub enum MealCommand {
    /// List the menu
    #[command(after_help = "Examples:\n  galley meal list\n  galley meal list --query soup --limit 10")]
    List {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        paging: Paging,
        /// Only those whose name contains this
        #[arg(long, short, value_name = "TEXT")]
        query: Option<String>,
    },
    /// Show a meal
    #[command(after_help = "Example:\n  galley meal get 2")]
    Get {
        #[command(flatten)]
        remote: Remote,
        /// Which meal
        id: MealId,
    },
    /// Put a meal on the menu
    #[command(
        after_help = "Example:\n  galley meal create --name Soup --price 12.50 --origin-planet Mars --ingredients leek --ingredients milk"
    )]
    Create {
        #[command(flatten)]
        remote: Remote,
        /// Its name
        #[arg(long, value_parser = MealName::parse)]
        name: MealName,
        /// An ingredient; repeat for more. Allergies are compared with each as a whole, whatever its case, accents, white space and
        /// invisible characters: name `peanut` besides `peanut butter`
        #[arg(long, alias = "ingredient", value_name = "INGREDIENT", value_parser = Ingredient::parse)]
        ingredients: Vec<Ingredient>,
        /// What it costs, with at most two decimal places
        #[arg(long, value_parser = parse_price)]
        price: Price,
        /// Where it comes from
        #[arg(long, value_name = "PLANET", value_parser = Planet::parse)]
        origin_planet: Planet,
        /// What to expect of it
        #[arg(long, value_name = "TEXT", default_value = "", value_parser = Description::parse)]
        description: Description,
    },
    /// Change some fields of a meal
    #[command(after_help = "Examples:\n  galley meal update 2 --price 9\n  galley meal update 2 --no-ingredients --if-version 3")]
    Update {
        #[command(flatten)]
        remote: Remote,
        /// Which meal
        id: MealId,
        #[command(flatten)]
        changes: Changes,
        /// Only while it has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
    /// Take a meal off the menu; no order on it may be active
    #[command(after_help = "Example:\n  galley meal delete 2")]
    Delete {
        #[command(flatten)]
        remote: Remote,
        /// Which meal
        id: MealId,
        /// Only while it has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
}

/// The fields to change.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct Changes {
    /// A new name
    #[arg(long, value_parser = MealName::parse)]
    name: Option<MealName>,
    /// An ingredient, in place of all before; repeat for more. Allergies are compared with each as a whole, whatever its
    /// case, accents, white space and invisible characters: name `peanut` besides `peanut butter`
    #[arg(long, alias = "ingredient", value_name = "INGREDIENT", value_parser = Ingredient::parse)]
    ingredients: Vec<Ingredient>,
    /// Nothing is in it
    #[arg(long, conflicts_with = "ingredients")]
    no_ingredients: bool,
    /// A new price, with at most two decimal places
    #[arg(long, value_parser = parse_price)]
    price: Option<Price>,
    /// A new planet
    #[arg(long, value_name = "PLANET", value_parser = Planet::parse)]
    origin_planet: Option<Planet>,
    /// A new description; empty for none
    #[arg(long, value_name = "TEXT", value_parser = Description::parse)]
    description: Option<Description>,
}

/// Does it.
pub async fn run(command: MealCommand) -> Result<(), Failure> {
    match command {
        MealCommand::List { remote, paging, query } => {
            let api = remote.open()?;
            let request = api.request(Method::GET, "/meals");
            let request = if let Some(query) = query { request.query(&[("q", query)]) } else { request };
            paging.print(&api, request, show_all).await
        }
        MealCommand::Get { remote, id } => {
            let api = remote.open()?;
            api.ask(api.request(Method::GET, &format!("/meals/{id}"))).await?.print(show)
        }
        MealCommand::Create { remote, name, ingredients, price, origin_planet, description } => {
            let api = remote.open()?;
            let meal = NewMeal { name, ingredients, price, origin_planet, description };
            api.ask(api.request(Method::POST, "/meals").json(&meal)).await?.print(show)
        }
        MealCommand::Update { remote, id, changes, if_version } => {
            let api = remote.open()?;
            let request = api.guarded(Method::PATCH, &format!("/meals/{id}"), if_version).json(&changes.to_json());
            api.ask(request).await?.print(show)
        }
        MealCommand::Delete { remote, id, if_version } => {
            let api = remote.open()?;
            let request = api.guarded(Method::DELETE, &format!("/meals/{id}"), if_version);
            api.ask(request).await?.done(&format!("meal {id} is off the menu"))
        }
    }
}

impl Changes {
    /// Only what changes.
    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.extend(self.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
        if self.no_ingredients || !self.ingredients.is_empty() {
            fields.insert("ingredients".to_owned(), json!(self.ingredients));
        }
        fields.extend(self.price.map(|price| ("price".to_owned(), json!(price))));
        fields.extend(self.origin_planet.as_ref().map(|planet| ("origin_planet".to_owned(), json!(planet))));
        fields.extend(self.description.as_ref().map(|text| ("description".to_owned(), json!(text))));
        Value::Object(fields)
    }
}

fn parse_price(text: &str) -> Result<Price, String> {
    let number: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    Price::from_number(number).map_err(|error| error.to_string())
}

fn show(meal: Meal) -> String {
    card([
        ("id", meal.id.to_string()),
        ("name", meal.name.into()),
        ("ingredients", list(&meal.ingredients)),
        ("price", meal.price.to_string()),
        ("origin planet", meal.origin_planet.into()),
        ("description", meal.description.into()),
        ("version", meal.version.to_string()),
    ])
}

fn show_all(meals: Vec<Meal>) -> String {
    let row = |meal: Meal| {
        [meal.id.to_string(), meal.name.into(), meal.price.to_string(), meal.origin_planet.into(), list(&meal.ingredients)]
    };
    table(["id", "name", "price", "origin planet", "ingredients"], meals.into_iter().map(row))
}
