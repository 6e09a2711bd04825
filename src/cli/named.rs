//! Heroes and meals by id or by name.
//!
//! A number is an id; any other text is a name. The gateway finds the names that contain it. A
//! whole name wins over parts of names; several equal matches are an error that lists them. Texts
//! are compared folded, as everywhere in Galley.

use std::fmt::Display;
use std::str::FromStr;

use galley_protocol::allergy::fold;
use galley_protocol::{Hero, HeroId, HeroName, Meal, MealId, Resource};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::api::Api;
use super::client_session::own_hero;
use super::error::CommandError;
use super::exit::Exit;
use super::paging::ListedPage;

/// Maximum entries among which a name is searched. A text contained in more names must be longer.
const MAX_FOUND: usize = 5_000;
/// Maximum matches that are listed in an error.
const MAX_LISTED: usize = 10;

/// A hero or a meal as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<Id> {
    Id(Id),
    Name(HeroName),
}

/// An id of a thing that has a name.
pub trait NamedId: Copy + Display + FromStr<Err: Display> + DeserializeOwned {
    /// The thing.
    type Thing: Resource;
}

impl NamedId for HeroId {
    type Thing = Hero;
}

impl NamedId for MealId {
    type Thing = Meal;
}

impl<Id: NamedId> FromStr for Named<Id> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id =
            |text: &str| text.parse().map(Self::Id).map_err(|error: Id::Err| error.to_string());
        let name =
            |text: &str| HeroName::parse(text).map(Self::Name).map_err(|error| error.to_string());
        match text.split_once(':') {
            Some(("id", text)) => id(text),
            Some(("name", text)) => name(text),
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => id(text),
            _ => name(text),
        }
    }
}

/// An entry of the list.
#[derive(Clone, Deserialize)]
#[serde(bound = "Id: DeserializeOwned")]
struct NamedEntry<Id> {
    id: Id,
    name: String,
}

/// The matches so far: the first ones, and the number of all.
struct Fitting<Id> {
    first: Vec<NamedEntry<Id>>,
    all: usize,
}

impl<Id: NamedId> Named<Id> {
    /// Finds the id.
    pub async fn resolve(&self, api: &Api) -> Result<Id, CommandError> {
        let name = match self {
            Self::Id(id) => return Ok(*id),
            Self::Name(name) => name.as_str(),
        };
        let wanted = fold(name);
        let (mut whole, mut parts) = (Fitting::default(), Fitting::default());
        let mut cursor = None;
        let mut found = 0;
        while found < MAX_FOUND {
            let ListedPage { items, next_cursor } = page::<Id>(api, name, cursor).await?;
            found += items.len();
            for entry in items {
                if fold(&entry.name) == wanted { whole.add(entry) } else { parts.add(entry) }
            }
            cursor = next_cursor;
            if cursor.is_none() {
                return if whole.all > 0 { whole.only(name) } else { parts.only(name) };
            }
        }
        let words = Id::Thing::WORDS;
        Err(CommandError::usage(format!(
            "the names of too many {words} contain \"{name}\"; type more of it, or give the id"
        )))
    }
}

async fn page<Id: NamedId>(
    api: &Api,
    name: &str,
    cursor: Option<String>,
) -> Result<ListedPage<NamedEntry<Id>>, CommandError> {
    let path = format!("/{}", Id::Thing::WORDS);
    let request = api.request(Method::GET, &path).query(&[("q", name), ("limit", "100")]);
    let request =
        if let Some(cursor) = cursor { request.query(&[("cursor", cursor)]) } else { request };
    match api.ask(request).await {
        Ok(answer) => answer.read(),
        // A hero may not list the heroes, but knows its own name.
        Err(refused) if refused.exit() == Exit::NotAllowed && Id::Thing::WORDS == Hero::WORDS => {
            match own_hero(api.remote()).await? {
                Some(hero) if fold(hero.name.as_str()).contains(&fold(name)) => {
                    let own =
                        json!({"items": [{"id": hero.id, "name": hero.name}], "next_cursor": null});
                    serde_json::from_value(own).map_err(CommandError::failed)
                }
                Some(hero) => Err(CommandError::local(
                    Exit::NotFound,
                    format!(
                        "there is no hero named \"{name}\" for this token, which is that of {} ({})",
                        hero.name, hero.id
                    ),
                )),
                None => Err(refused),
            }
        }
        Err(error) => Err(error),
    }
}

impl<Id> Default for Fitting<Id> {
    fn default() -> Self {
        Self { first: Vec::new(), all: 0 }
    }
}

impl<Id: NamedId> Fitting<Id> {
    fn add(&mut self, entry: NamedEntry<Id>) {
        self.all += 1;
        if self.first.len() < MAX_LISTED {
            self.first.push(entry);
        }
    }

    /// Returns the only match, or an error if there is none or more than one.
    fn only(self, name: &str) -> Result<Id, CommandError> {
        let (word, words) = (Id::Thing::WORD, Id::Thing::WORDS);
        match self.first.as_slice() {
            [entry] => Ok(entry.id),
            [] => Err(CommandError::local(
                Exit::NotFound,
                format!("there is no {word} named \"{name}\""),
            )),
            several => {
                let listed = several
                    .iter()
                    .map(|entry| format!("{} ({})", entry.name, entry.id))
                    .collect::<Vec<_>>()
                    .join(", ");
                let more = self.all - several.len();
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let text = format!(
                    "\"{name}\" fits {} {words}: {listed}{more}; give the whole name or the id",
                    self.all
                );
                let candidates =
                    several.iter().map(|entry| json!({"id": entry.id.to_string().parse::<i64>().ok(), "name": entry.name}));
                Err(CommandError::usage(text).with("candidates", candidates.collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::{HeroId, HeroName};

    use super::Named;

    #[test]
    fn a_number_is_an_id_and_anything_else_a_name() {
        let id = |number| Ok(Named::Id(HeroId::new(number).expect("an id")));
        let name = |text| Ok(Named::Name(HeroName::parse(text).expect("a name")));
        for (typed, read) in [
            ("7", id(7)),
            ("id:7", id(7)),
            ("Nova", name("Nova")),
            ("name:7", name("7")),
            ("7up", name("7up")),
            ("Captain: Zoé", name("Captain: Zoé")),
        ] {
            assert_eq!(typed.parse::<Named<HeroId>>(), read, "{typed}");
        }
        for wrong in ["0", "id:Nova", "99999999999999999999", "", "name:", " "] {
            assert!(wrong.parse::<Named<HeroId>>().is_err(), "{wrong:?}");
        }
    }
}
