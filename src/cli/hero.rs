//! `galley hero …`

use clap::{Args, Subcommand};
use galley_launch::Failure;
use galley_protocol::{Allergy, Hero, HeroId, HeroName, NewHero, Planet};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::api::Remote;
use super::output::{card, list, table};
use super::paging::Paging;

/// What to do with heroes.
#[derive(Subcommand)]
pub enum HeroCommand {
    /// List heroes
    #[command(after_help = "Examples:\n  galley hero list\n  galley hero list --query tante --json")]
    List {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        paging: Paging,
        /// Only those whose name contains this
        #[arg(long, short, value_name = "TEXT")]
        query: Option<String>,
    },
    /// Show a hero
    #[command(after_help = "Example:\n  galley hero get 1")]
    Get {
        #[command(flatten)]
        remote: Remote,
        /// Which hero
        id: HeroId,
    },
    /// Add a hero
    #[command(after_help = "Example:\n  galley hero create --name Mistral --planet Mars --allergies gluten --allergies œuf")]
    Create {
        #[command(flatten)]
        remote: Remote,
        /// Its name
        #[arg(long, value_parser = HeroName::parse)]
        name: HeroName,
        /// Where it comes from
        #[arg(long, value_parser = Planet::parse)]
        planet: Planet,
        /// An allergy; repeat for more. It is compared with whole ingredients, whatever their case, accents, white space and
        /// invisible characters: `peanut` matches `PEANUT`, but neither `peanuts` nor `peanut butter`
        #[arg(long, alias = "allergy", value_name = "ALLERGY", value_parser = Allergy::parse)]
        allergies: Vec<Allergy>,
    },
    /// Change some fields of a hero
    #[command(
        after_help = "Examples:\n  galley hero update 1 --planet Venus\n  galley hero update 1 --no-allergies --if-version 2"
    )]
    Update {
        #[command(flatten)]
        remote: Remote,
        /// Which hero
        id: HeroId,
        #[command(flatten)]
        changes: Changes,
        /// Only while it has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i32>,
    },
    /// Delete a hero that has no active order
    #[command(after_help = "Example:\n  galley hero delete 1")]
    Delete {
        #[command(flatten)]
        remote: Remote,
        /// Which hero
        id: HeroId,
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
    #[arg(long, value_parser = HeroName::parse)]
    name: Option<HeroName>,
    /// A new planet
    #[arg(long, value_parser = Planet::parse)]
    planet: Option<Planet>,
    /// An allergy, in place of all before; repeat for more. It is compared with whole ingredients, whatever their
    /// case, accents, white space and invisible characters: `peanut` matches `PEANUT`, but neither `peanuts` nor `peanut butter`
    #[arg(long, alias = "allergy", value_name = "ALLERGY", value_parser = Allergy::parse)]
    allergies: Vec<Allergy>,
    /// It can eat everything
    #[arg(long, conflicts_with = "allergies")]
    no_allergies: bool,
}

/// Does it.
pub async fn run(command: HeroCommand) -> Result<(), Failure> {
    match command {
        HeroCommand::List { remote, paging, query } => {
            let api = remote.open()?;
            let request = api.request(Method::GET, "/heroes");
            let request = if let Some(query) = query { request.query(&[("q", query)]) } else { request };
            paging.print(&api, request, show_all).await
        }
        HeroCommand::Get { remote, id } => {
            let api = remote.open()?;
            api.ask(api.request(Method::GET, &format!("/heroes/{id}"))).await?.print(show)
        }
        HeroCommand::Create { remote, name, planet, allergies } => {
            let api = remote.open()?;
            let request = api.request(Method::POST, "/heroes").json(&NewHero { name, planet, allergies });
            api.ask(request).await?.print(show)
        }
        HeroCommand::Update { remote, id, changes, if_version } => {
            let api = remote.open()?;
            let request = api.guarded(Method::PATCH, &format!("/heroes/{id}"), if_version).json(&changes.to_json());
            api.ask(request).await?.print(show)
        }
        HeroCommand::Delete { remote, id, if_version } => {
            let api = remote.open()?;
            let request = api.guarded(Method::DELETE, &format!("/heroes/{id}"), if_version);
            api.ask(request).await?.done(&format!("hero {id} is deleted"))
        }
    }
}

impl Changes {
    /// Only what changes.
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
        ("allergies", list(&hero.allergies)),
        ("version", hero.version.to_string()),
    ])
}

fn show_all(heroes: Vec<Hero>) -> String {
    let row = |hero: Hero| [hero.id.to_string(), hero.name.into(), hero.planet.into(), list(&hero.allergies)];
    table(["id", "name", "planet", "allergies"], heroes.into_iter().map(row))
}
