//! `galley meal …`

use clap::{Args, Subcommand};
use galley_protocol::{Description, Ingredient, Meal, MealId, MealName, NewMeal, Planet, Price};
use serde_json::{Map, Value, json};

use super::api::Remote;
use super::error::CommandError;
use super::named::Named;
use super::output::{self, card, table};
use super::paging::Paging;
use super::resource_commands::{create, delete, get, list, update};

/// The commands for meals.
#[derive(Subcommand)]
pub enum MealCommand {
    /// List the menu
    #[command(
        after_help = "Examples:\n  galley meal list\n  galley meal list --query soup --limit 10\n  galley meal list --all"
    )]
    List {
        #[command(flatten)]
        paging: Paging,
        /// Only those whose name contains this; capitals and accents do not matter
        #[arg(long, short, value_name = "TEXT")]
        query: Option<String>,
    },
    /// Show a meal
    #[command(after_help = "Examples:\n  galley meal get 2\n  galley meal get 'Peanut soup'")]
    Get {
        /// The meal, by id or name
        #[arg(value_name = "MEAL")]
        meal: Named<MealId>,
    },
    /// Put a meal on the menu
    #[command(
        after_help = "Example:\n  galley meal create --name Soup --price 12.50 --origin-planet Mars --ingredients leek --ingredients milk"
    )]
    Create {
        /// Name of the meal
        #[arg(long, value_parser = MealName::parse)]
        name: MealName,
        /// An ingredient; repeat for more. Allergies are compared with each as a whole, whatever
        /// its case, accents, white space and invisible characters: name `peanut` besides `peanut
        /// butter`
        #[arg(long, alias = "ingredient", value_name = "INGREDIENT", value_parser = Ingredient::parse)]
        ingredients: Vec<Ingredient>,
        /// Price, with at most two decimal places
        #[arg(long, value_parser = parse_price)]
        price: Price,
        /// Planet that the meal comes from
        #[arg(long, value_name = "PLANET", value_parser = Planet::parse)]
        origin_planet: Planet,
        /// Description for people
        #[arg(long, value_name = "TEXT", default_value = "", value_parser = Description::parse)]
        description: Description,
    },
    /// Change some fields of a meal
    #[command(
        after_help = "Examples:\n  galley meal update 2 --price 9\n  galley meal update 2 --no-ingredients --if-version 3"
    )]
    Update {
        /// The meal, by id or name
        #[arg(value_name = "MEAL")]
        meal: Named<MealId>,
        #[command(flatten)]
        changes: MealChanges,
        /// Do it only while the meal has this version; otherwise exit code 5
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
    /// Take a meal off the menu; no order on it may be active
    #[command(after_help = "Example:\n  galley meal delete 2")]
    Delete {
        /// The meal, by id or name
        #[arg(value_name = "MEAL")]
        meal: Named<MealId>,
        /// Do it only while the meal has this version; otherwise exit code 5
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
}

/// The fields to change.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct MealChanges {
    /// A new name
    #[arg(long, value_parser = MealName::parse)]
    name: Option<MealName>,
    /// An ingredient, in place of all before; repeat for more. Allergies are compared with each as
    /// a whole, whatever its case, accents, white space and invisible characters: name `peanut`
    /// besides `peanut butter`
    #[arg(long, alias = "ingredient", value_name = "INGREDIENT", value_parser = Ingredient::parse)]
    ingredients: Vec<Ingredient>,
    /// No ingredients, in place of all before
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

/// Runs one command.
pub async fn run(command: MealCommand, remote: Remote) -> Result<(), CommandError> {
    let api = remote.open()?;
    match command {
        MealCommand::List { paging, query } => list(&api, &paging, query, show_all).await,
        MealCommand::Get { meal } => get(&api, &meal, show).await,
        MealCommand::Create { name, ingredients, price, origin_planet, description } => {
            let meal = NewMeal { name, ingredients, price, origin_planet, description };
            create(&api, &meal, show).await
        }
        MealCommand::Update { meal, changes, if_version } => {
            update(&api, &meal, (changes.to_json(), if_version), show).await
        }
        MealCommand::Delete { meal, if_version } => {
            delete(&api, &meal, if_version, |id| format!("meal {id} is off the menu")).await
        }
    }
}

impl MealChanges {
    /// Returns the fields that change.
    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.extend(self.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
        if self.no_ingredients || !self.ingredients.is_empty() {
            fields.insert("ingredients".to_owned(), json!(self.ingredients));
        }
        fields.extend(self.price.map(|price| ("price".to_owned(), json!(price))));
        fields.extend(
            self.origin_planet.as_ref().map(|planet| ("origin_planet".to_owned(), json!(planet))),
        );
        fields
            .extend(self.description.as_ref().map(|text| ("description".to_owned(), json!(text))));
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
        ("ingredients", output::list(&meal.ingredients)),
        ("price", meal.price.to_string()),
        ("origin planet", meal.origin_planet.into()),
        ("description", meal.description.into()),
        ("version", meal.version.to_string()),
    ])
}

fn show_all(meals: Vec<Meal>) -> String {
    let row = |meal: Meal| {
        [
            meal.id.to_string(),
            meal.name.into(),
            meal.price.to_string(),
            meal.origin_planet.into(),
            output::list(&meal.ingredients),
        ]
    };
    table(["id", "name", "price", "origin planet", "ingredients"], meals.into_iter().map(row))
}
