//! Turns a filter into questions for the gateway, so that a filter finds all that there is, and not
//! only what was loaded.
//!
//! Names become ids by a look at the lists of heroes and meals. Several words must all fit: each
//! adds its part to every question so far. What a question cannot say, such as a word of a message,
//! the screen sorts out among the answers.

use galley_protocol::{OrderId, Status, Watch};
use reqwest::Method;
use serde::Deserialize;

use super::filter::{Filter, Word};
use crate::cli::api::Api;
use crate::cli::error::CommandError;
use crate::cli::paging::ListedPage;

/// The most names that a word stands for; of more, the first are taken.
const MAX_NAMES: usize = 10;
/// The most questions of a search; further ones are left out.
const MAX_QUESTIONS: usize = 20;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The list with these parameters.
    List(Vec<(&'static str, String)>),
    /// One order.
    Order(OrderId),
}

/// The questions to ask, and the subscription.
#[derive(Debug)]
pub struct Search {
    pub questions: Vec<Question>,
    pub watch: Watch,
}

/// The orders that a question asks for. `None` stands for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    hero: Option<i64>,
    meal: Option<i64>,
    status: Option<Vec<Status>>,
}

#[derive(Deserialize)]
struct HasId {
    id: i64,
}

/// Plans the search for what a filter lets through, within what is watched in any case.
pub async fn plan(api: &Api, base: &Watch, filter: &Filter) -> Result<Search, CommandError> {
    let base_part = Part {
        hero: base.hero_id.map(galley_protocol::HeroId::get),
        meal: None,
        status: Some(base.status.clone()).filter(|status| !status.is_empty()),
    };
    let (mut asked, mut watched, mut orders) =
        (vec![base_part.clone()], vec![base_part], Vec::new());
    for word in filter.words() {
        match word {
            Word::Hero(text) => {
                let heroes = heroes(api, base, text).await?;
                watched = product(&watched, &heroes);
                asked = product(&asked, &heroes);
            }
            Word::Meal(text) => asked = product(&asked, &meals(api, text).await?),
            Word::Status(text) => {
                let status = [Part {
                    status: Some(statuses(|name| name.starts_with(text))),
                    ..Part::default()
                }];
                watched = product(&watched, &status);
                asked = product(&asked, &status);
            }
            Word::Any(text) => {
                let mut any = [heroes(api, base, text).await?, meals(api, text).await?].concat();
                any.retain(|part| *part != Part::default());
                let status = statuses(|name| name.contains(text.as_str()));
                any.extend(
                    (!status.is_empty()).then(|| Part { status: Some(status), ..Part::default() }),
                );
                if !any.is_empty() {
                    asked = product(&asked, &any);
                }
                orders.extend(text.parse().ok().map(Question::Order));
            }
        }
    }
    let lists = asked.iter().map(|part| Question::List(part.parameters()));
    Ok(Search {
        questions: orders.into_iter().chain(lists).take(MAX_QUESTIONS).collect(),
        watch: subscription(base, &watched),
    })
}

/// Every part together with every other, where both can be true.
fn product(parts: &[Part], others: &[Part]) -> Vec<Part> {
    let all = parts.iter().flat_map(|part| others.iter().filter_map(|other| part.and(other)));
    all.take(MAX_QUESTIONS).collect()
}

/// The narrowest subscription that misses nothing of these parts.
fn subscription(base: &Watch, parts: &[Part]) -> Watch {
    let mut heroes: Vec<Option<i64>> = parts.iter().map(|part| part.hero).collect();
    heroes.dedup();
    let hero_id = match heroes.as_slice() {
        [Some(only)] => galley_protocol::HeroId::new(*only).ok(),
        _ => base.hero_id,
    };
    let status = match parts {
        // All parts have the same statuses: words for them are no alternatives to each other.
        [Part { status: Some(status), .. }, ..] => status.clone(),
        _ => base.status.clone(),
    };
    Watch { status, hero_id, max_rate: base.max_rate, cursor: None }
}

/// The heroes that a word stands for; any, where only one hero is watched.
async fn heroes(api: &Api, base: &Watch, text: &str) -> Result<Vec<Part>, CommandError> {
    if base.hero_id.is_some() {
        return Ok(vec![Part::default()]);
    }
    let ids = ids(api, "/heroes", text).await?;
    Ok(ids.map_or_else(
        || vec![Part::default()],
        |ids| ids.map(|id| Part { hero: Some(id), ..Part::default() }).collect(),
    ))
}

async fn meals(api: &Api, text: &str) -> Result<Vec<Part>, CommandError> {
    let ids = ids(api, "/meals", text).await?;
    Ok(ids.map_or_else(
        || vec![Part::default()],
        |ids| ids.map(|id| Part { meal: Some(id), ..Part::default() }).collect(),
    ))
}

/// A number is an id, other text a part of names. `None` where nothing is asked for, or the caller
/// may not look.
async fn ids(
    api: &Api,
    path: &str,
    text: &str,
) -> Result<Option<impl Iterator<Item = i64>>, CommandError> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(id) = text.parse().ok().filter(|id| *id > 0) {
        return Ok(Some(vec![id].into_iter()));
    }
    let (mut ids, mut cursor) = (Vec::new(), None::<String>);
    while ids.len() < MAX_NAMES {
        let limit = (MAX_NAMES - ids.len()).to_string();
        let asked = [("q", text), ("limit", limit.as_str())];
        let request = api.request(Method::GET, path).query(&asked);
        let request =
            cursor.iter().fold(request, |request, cursor| request.query(&[("cursor", cursor)]));
        let Some(found) = api.find(request).await? else { return Ok(None) };
        let ListedPage { items, next_cursor } = found.read::<ListedPage<HasId>>()?;
        ids.extend(items.into_iter().map(|item| item.id));
        cursor = next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(Some(ids.into_iter()))
}

fn statuses(fits: impl Fn(&str) -> bool) -> Vec<Status> {
    Status::ALL.into_iter().filter(|status| fits(super::filter::word(*status))).collect()
}

impl Part {
    /// Both at once; `None` when that is nothing.
    fn and(&self, other: &Self) -> Option<Self> {
        let status = match (&self.status, &other.status) {
            (Some(one), Some(other)) => Some(
                one.iter().filter(|status| other.contains(status)).copied().collect::<Vec<_>>(),
            ),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let same = |one: Option<i64>, other: Option<i64>| match (one, other) {
            (Some(one), Some(other)) if one != other => None,
            (one, other) => Some(one.or(other)),
        };
        let together =
            Self { hero: same(self.hero, other.hero)?, meal: same(self.meal, other.meal)?, status };
        together.status.as_ref().is_none_or(|status| !status.is_empty()).then_some(together)
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let hero = self.hero.map(|id| ("hero_id", id.to_string()));
        let meal = self.meal.map(|id| ("meal_id", id.to_string()));
        let status = self.status.iter().flatten().map(|status| ("status", status.to_string()));
        hero.into_iter().chain(meal).chain(status).collect()
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::{HeroId, Status, Watch};

    use super::{Part, product, subscription};

    fn hero(id: i64) -> Part {
        Part { hero: Some(id), ..Part::default() }
    }

    fn status(status: &[Status]) -> Part {
        Part { status: Some(status.to_vec()), ..Part::default() }
    }

    #[test]
    fn words_that_cannot_all_fit_ask_nothing() {
        assert_eq!(product(&[hero(1)], &[hero(2)]), []);
        assert_eq!(product(&[hero(1), hero(2)], &[hero(2)]), [hero(2)]);
        assert_eq!(product(&[status(&[Status::Pending])], &[status(&[Status::Completed])]), []);
        let both = Part { status: Some(vec![Status::Pending]), ..hero(1) };
        assert_eq!(product(&[hero(1)], &[status(&[Status::Pending])]), [both]);
    }

    #[test]
    fn the_subscription_is_as_narrow_as_it_may_be() {
        let base = Watch::all(None);
        assert_eq!(subscription(&base, &[Part::default()]), base);
        assert_eq!(subscription(&base, &[hero(1)]).hero_id, HeroId::new(1).ok());
        assert_eq!(subscription(&base, &[hero(1), hero(2)]).hero_id, None);
        assert_eq!(subscription(&base, &[status(&[Status::Pending])]).status, [Status::Pending]);
        assert_eq!(subscription(&base, &[]), base);
    }
}
