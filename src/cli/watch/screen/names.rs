//! The names of heroes and meals, as they were when they were read.

use std::collections::HashMap;

use galley_protocol::{HeroId, MealId};

/// The most names of a kind; at the bound all are forgotten, and those on the screen are read
/// again.
const MAX_NAMES: usize = 2_000;
/// The most characters of a name that are kept.
const MAX_CHARACTERS: usize = 200;

/// What is known.
#[derive(Debug, Default)]
pub struct Names {
    heroes: HashMap<HeroId, Option<String>>,
    meals: HashMap<MealId, Option<String>>,
}

/// Whose name is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nameless {
    /// A hero's.
    Hero(HeroId),
    /// A meal's.
    Meal(MealId),
}

impl Names {
    /// The name of a hero.
    pub fn hero(&self, id: HeroId) -> Option<&str> {
        self.heroes.get(&id)?.as_deref()
    }

    /// The name of a meal.
    pub fn meal(&self, id: MealId) -> Option<&str> {
        self.meals.get(&id)?.as_deref()
    }

    /// Nobody asked yet.
    pub fn is_missing(&self, whose: Nameless) -> bool {
        match whose {
            Nameless::Hero(id) => !self.heroes.contains_key(&id),
            Nameless::Meal(id) => !self.meals.contains_key(&id),
        }
    }

    /// What the gateway says: nothing for a hero that is gone.
    pub fn learn_hero(&mut self, id: HeroId, name: Option<String>) {
        learn(&mut self.heroes, id, name);
    }

    /// The same for a meal.
    pub fn learn_meal(&mut self, id: MealId, name: Option<String>) {
        learn(&mut self.meals, id, name);
    }
}

fn learn<Id: Eq + std::hash::Hash>(
    names: &mut HashMap<Id, Option<String>>,
    id: Id,
    name: Option<String>,
) {
    if names.len() == MAX_NAMES {
        names.clear();
    }
    names.insert(id, name.map(|name| name.chars().take(MAX_CHARACTERS).collect()));
}

#[cfg(test)]
mod tests {
    use galley_protocol::HeroId;

    use super::{MAX_NAMES, Nameless, Names};

    #[test]
    fn names_are_bounded() {
        let mut names = Names::default();
        let id = |number: usize| HeroId::new(i64::try_from(number).expect("small")).expect("an id");
        for number in 1..=10 * MAX_NAMES {
            names.learn_hero(id(number), Some("W".repeat(1_000)));
            assert!(names.heroes.len() <= MAX_NAMES);
        }
        assert_eq!(names.hero(id(10 * MAX_NAMES)).map(str::len), Some(200));
        names.learn_hero(id(1), None);
        assert!(names.hero(id(1)).is_none() && !names.is_missing(Nameless::Hero(id(1))));
        assert!(names.is_missing(Nameless::Hero(id(2))));
    }
}
