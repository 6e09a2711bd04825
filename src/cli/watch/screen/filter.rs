//! Which orders are shown.

use galley_protocol::allergy::fold;
use galley_protocol::{Order, Status};

use super::names::Names;

/// The words that were typed after `/`, which must all fit. `hero:`, `meal:` and `status:` look
/// there alone, by number or part of the name; other words look everywhere.
#[derive(Clone, Debug, Default)]
pub struct Filter(Vec<Word>);

/// One word, folded as the gateway folds names.
#[derive(Clone, Debug)]
pub enum Word {
    Hero(String),
    Meal(String),
    Status(String),
    Any(String),
}

/// A status in a word for people.
pub const fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::InProgress => "in progress",
        Status::Completed => "completed",
        Status::Cancelled => "cancelled",
    }
}

impl Filter {
    /// Reads what was typed.
    pub fn parse(text: &str) -> Self {
        let words = fold(text);
        let word = |word: &str| {
            let (field, wanted) = word.split_once(':').unwrap_or(("", word));
            match field {
                "hero" => Word::Hero(wanted.to_owned()),
                "meal" => Word::Meal(wanted.to_owned()),
                "status" => Word::Status(wanted.replace(['-', '_'], " ")),
                _ => Word::Any(word.to_owned()),
            }
        };
        Self(words.split_whitespace().map(word).collect())
    }

    /// The words.
    pub fn words(&self) -> &[Word] {
        &self.0
    }

    /// Returns true if every order is shown.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if this order is shown.
    pub fn fits(&self, order: &Order, names: &Names) -> bool {
        self.0.iter().all(|word| word.fits(order, names))
    }
}

impl Word {
    fn fits(&self, order: &Order, names: &Names) -> bool {
        let hero = || fold(names.hero(order.hero_id).unwrap_or_default());
        let meal = || fold(names.meal(order.meal_id).unwrap_or_default());
        match self {
            Self::Hero(wanted) => is(wanted, order.hero_id.get(), hero),
            Self::Meal(wanted) => is(wanted, order.meal_id.get(), meal),
            Self::Status(wanted) => word(order.status).starts_with(wanted.as_str()),
            Self::Any(wanted) => {
                let message = || fold(order.message.as_deref().unwrap_or_default());
                order.id.to_string() == *wanted
                    || word(order.status).contains(wanted.as_str())
                    || hero().contains(wanted.as_str())
                    || meal().contains(wanted.as_str())
                    || message().contains(wanted.as_str())
            }
        }
    }
}

/// A number is an id, anything else a part of the name.
fn is(wanted: &str, id: i64, name: impl FnOnce() -> String) -> bool {
    wanted.parse().map_or_else(|_| name().contains(wanted), |number: i64| number == id)
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use crate::cli::watch::screen::names::Names;
    use crate::cli::watch::screen::staging::order;

    #[test]
    fn every_word_must_fit() {
        let mut names = Names::default();
        let order = order(7, "CANCELLED", 3);
        names.learn_hero(order.hero_id, Some("Captain Zoé".to_owned()));
        names.learn_meal(order.meal_id, Some("Leek soup".to_owned()));
        for (typed, fits) in [
            ("", true),
            ("zoé", true),
            ("ZOE", true),
            ("SOUP captain", true),
            ("soup nova", false),
            ("7", true),
            ("8", false),
            ("hero:1", true),
            ("hero:2", false),
            ("hero:capt", true),
            ("hero:soup", false),
            ("meal:2", true),
            ("meal:soup", true),
            ("status:canc", true),
            ("status:pending", false),
            ("cancelled", true),
            ("nut", true),
        ] {
            assert_eq!(Filter::parse(typed).fits(&order, &names), fits, "{typed:?}");
        }
        assert!(
            Filter::parse("status:in_prog")
                .fits(&super::super::staging::order(8, "IN_PROGRESS", 2), &names)
        );
    }
}
