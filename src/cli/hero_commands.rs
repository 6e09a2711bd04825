//! `galley hero …`

use clap::{Args, Subcommand};
use galley_protocol::{Allergy, Hero, HeroId, HeroName, NewHero, Planet};
use serde_json::{Map, Value, json};

use super::api::Remote;
use super::error::CommandError;
use super::named::Named;
use super::output::{self, card, table};
use super::paging::Paging;
use super::resource_commands::{create, delete, get, list, update};

/// The commands for heroes.
#[derive(Subcommand)]
pub enum HeroCommand {
    /// List heroes
    #[command(
        after_help = "Examples:\n  galley hero list\n  galley hero list --query tante --json\n  galley hero list --all --json > heroes.json"
    )]
    List {
        #[command(flatten)]
        paging: Paging,
        /// Only those whose name contains this; capitals and accents do not matter
        #[arg(long, short, value_name = "TEXT")]
        query: Option<String>,
    },
    /// Show a hero
    #[command(after_help = "Examples:\n  galley hero get 1\n  galley hero get Nova")]
    Get {
        /// The hero, by id or name
        #[arg(value_name = "HERO")]
        hero: Named<HeroId>,
    },
    /// Add a hero
    #[command(
        after_help = "Example:\n  galley hero create --name Mistral --planet Mars --allergies gluten --allergies œuf"
    )]
    Create {
        /// Name of the hero
        #[arg(long, value_parser = HeroName::parse)]
        name: HeroName,
        /// Home planet
        #[arg(long, value_parser = Planet::parse)]
        planet: Planet,
        /// An allergy; repeat for more. It is compared with whole ingredients, whatever their case,
        /// accents, white space and invisible characters: `peanut` matches `PEANUT`, but neither
        /// `peanuts` nor `peanut butter`
        #[arg(long, alias = "allergy", value_name = "ALLERGY", value_parser = Allergy::parse)]
        allergies: Vec<Allergy>,
    },
    /// Change some fields of a hero
    #[command(
        after_help = "Examples:\n  galley hero update 1 --planet Venus\n  galley hero update 1 --no-allergies --if-version 2"
    )]
    Update {
        /// The hero, by id or name
        #[arg(value_name = "HERO")]
        hero: Named<HeroId>,
        #[command(flatten)]
        changes: HeroChanges,
        /// Do it only while the hero has this version; otherwise exit code 5
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
    /// Delete a hero that has no active order
    #[command(after_help = "Example:\n  galley hero delete 1")]
    Delete {
        /// The hero, by id or name
        #[arg(value_name = "HERO")]
        hero: Named<HeroId>,
        /// Do it only while the hero has this version; otherwise exit code 5
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
}

/// The fields to change.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct HeroChanges {
    /// A new name
    #[arg(long, value_parser = HeroName::parse)]
    name: Option<HeroName>,
    /// A new planet
    #[arg(long, value_parser = Planet::parse)]
    planet: Option<Planet>,
    /// An allergy, in place of all before; repeat for more. It is compared with whole ingredients,
    /// whatever their case, accents, white space and invisible characters: `peanut` matches
    /// `PEANUT`, but neither `peanuts` nor `peanut butter`
    #[arg(long, alias = "allergy", value_name = "ALLERGY", value_parser = Allergy::parse)]
    allergies: Vec<Allergy>,
    /// No allergies, in place of all before
    #[arg(long, conflicts_with = "allergies")]
    no_allergies: bool,
}

/// Runs one command.
pub async fn run(command: HeroCommand, remote: Remote) -> Result<(), CommandError> {
    let api = remote.open()?;
    match command {
        HeroCommand::List { paging, query } => list(&api, &paging, query, show_all).await,
        HeroCommand::Get { hero } => get(&api, &hero, show).await,
        HeroCommand::Create { name, planet, allergies } => {
            create(&api, &NewHero { name, planet, allergies }, show).await
        }
        HeroCommand::Update { hero, changes, if_version } => {
            update(&api, &hero, (changes.to_json(), if_version), show).await
        }
        HeroCommand::Delete { hero, if_version } => {
            delete(&api, &hero, if_version, |id| format!("hero {id} is deleted")).await
        }
    }
}

impl HeroChanges {
    /// Returns the fields that change.
    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.extend(self.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
        fields.extend(self.planet.as_ref().map(|planet| ("planet".to_owned(), json!(planet))));
        if self.no_allergies || !self.allergies.is_empty() {
            fields.insert("allergies".to_owned(), json!(self.allergies));
        }
        Value::Object(fields)
    }
}

fn show(hero: Hero) -> String {
    card([
        ("id", hero.id.to_string()),
        ("name", hero.name.into()),
        ("planet", hero.planet.into()),
        ("allergies", output::list(&hero.allergies)),
        ("version", hero.version.to_string()),
    ])
}

fn show_all(heroes: Vec<Hero>) -> String {
    let row = |hero: Hero| {
        [hero.id.to_string(), hero.name.into(), hero.planet.into(), output::list(&hero.allergies)]
    };
    table(["id", "name", "planet", "allergies"], heroes.into_iter().map(row))
}
