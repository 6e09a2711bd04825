//! The demo menu and its heroes, so that a fresh `galley` has meals to order and heroes to order
//! them.
//!
//! The allergies are chosen to show the allergy check: `CREME FRAICHE` matches `crème fraîche`,
//! while `oeuf` without its ligature is another word than `œuf`, so a careful hero lists both.

use galley_protocol::frame::Page;
use galley_protocol::text::TextError;
use galley_protocol::{
    Allergy, Description, HeroName, Ingredient, ListOrders, MealName, NewHero, NewMeal, OfHero,
    Planet, Price,
};
use galley_store::{ListPage, Store, StoreError};
use tracing::info;

struct DemoMeal {
    name: &'static str,
    ingredients: &'static [&'static str],
    hundredths: i64,
    planet: &'static str,
    description: &'static str,
}

struct DemoHero {
    name: &'static str,
    planet: &'static str,
    allergies: &'static [&'static str],
}

#[rustfmt::skip] // a table
const MEALS: [DemoMeal; 12] = [
    DemoMeal { name: "Gratin du cratère", ingredients: &["pomme de terre", "crème fraîche", "fromage", "ail"], hundredths: 1_450, planet: "Mars", description: "Gratiné à la chaleur d'un volcan endormi." },
    DemoMeal { name: "Meteor Meatballs", ingredients: &["beef", "breadcrumbs", "gluten", "egg", "tomato"], hundredths: 1_290, planet: "Earth", description: "They arrive hot, and fast." },
    DemoMeal { name: "Omelette à gravité nulle", ingredients: &["œuf", "beurre", "ciboulette"], hundredths: 990, planet: "Terre", description: "Elle se retourne toute seule." },
    DemoMeal { name: "Peanut Pulsar Noodles", ingredients: &["rice noodles", "peanut", "arachide", "soy", "lime"], hundredths: 1_375, planet: "Kepler-22b", description: "Pulses of peanut, once every 1.4 seconds." },
    DemoMeal { name: "Bisque des mers d'Europe", ingredients: &["crustacés", "crème fraîche", "fenouil", "poivre"], hundredths: 2_250, planet: "Europa", description: "Puisée sous trente kilomètres de glace." },
    DemoMeal { name: "Ring Fries of Saturn", ingredients: &["onion", "batter", "gluten", "salt"], hundredths: 650, planet: "Titan", description: "Served in seven rings." },
    DemoMeal { name: "Tarte aux poireaux lunaires", ingredients: &["poireau", "pâte brisée", "gluten", "œuf", "CREME FRAICHE"], hundredths: 1_180, planet: "Lune", description: "La pâte lève mieux à un sixième de g." },
    DemoMeal { name: "Venusian Vegan Chili", ingredients: &["kidney beans", "tomato", "bell pepper", "cocoa"], hundredths: 1_090, planet: "Venus", description: "462 °C in spirit." },
    DemoMeal { name: "Sashimi de comète", ingredients: &["poisson", "soja", "sésame", "gingembre"], hundredths: 2_600, planet: "Encelade", description: "Toujours frais : la comète repasse tous les 76 ans." },
    DemoMeal { name: "Black Hole Brownie", ingredients: &["chocolate", "butter", "egg", "walnut", "gluten"], hundredths: 720, planet: "Earth", description: "Nothing escapes it, calories least of all." },
    DemoMeal { name: "Île flottante orbitale", ingredients: &["blanc d'œuf", "lait", "vanille", "sucre"], hundredths: 810, planet: "Terre", description: "Elle flotte vraiment." },
    DemoMeal { name: "Plain Rice of the Wise", ingredients: &["rice"], hundredths: 450, planet: "Kepler-22b", description: "For heroes who are allergic to everything else." },
];

#[rustfmt::skip] // a table
const HEROES: [DemoHero; 6] = [
    DemoHero { name: "Capitaine Tramontane", planet: "Terre", allergies: &["crustacés", "arachide"] },
    DemoHero { name: "Zélie Quartz", planet: "Kepler-22b", allergies: &["œuf", "oeuf", "blanc d'œuf", "egg"] },
    DemoHero { name: "The Amber Bassoon", planet: "Mars", allergies: &["Creme  Fraiche"] },
    DemoHero { name: "Granite Aunt", planet: "Titan", allergies: &[] },
    DemoHero { name: "Mistral-9", planet: "Europa", allergies: &["gluten", "walnut", "peanut"] },
    DemoHero { name: "Docteur Lampadaire", planet: "Vénus", allergies: &["poisson", "SÉSAME"] },
];

/// Fills a database without meals, heroes and orders; leaves any other unchanged.
pub async fn seed(store: &dyn Store) -> Result<(), StoreError> {
    let page = ListPage { limit: 1, after: None, name_contains: None };
    let orders = OfHero::<ListOrders>::default();
    if !(is_empty(&store.meals().list(&page).await?)
        && is_empty(&store.heroes().list(&page).await?)
        && is_empty(&store.orders(&orders).await?))
    {
        return Ok(());
    }
    for meal in &MEALS {
        store.meals().create(&meal.build()).await?;
    }
    for hero in &HEROES {
        store.heroes().create(&hero.build()).await?;
    }
    info!(meals = MEALS.len(), heroes = HEROES.len(), "seeded the demo menu and its heroes");
    Ok(())
}

fn is_empty<T>(page: &Page<T>) -> bool {
    page.items.is_empty() && page.next_cursor.is_none()
}

const WITHIN: &str = "the demo lies within the bounds of the domain: a test builds all of it";

impl DemoMeal {
    fn build(&self) -> NewMeal {
        NewMeal {
            name: MealName::parse(self.name).expect(WITHIN),
            ingredients: parsed(self.ingredients, Ingredient::parse),
            price: Price::from_hundredths(self.hundredths).expect(WITHIN),
            origin_planet: Planet::parse(self.planet).expect(WITHIN),
            description: Description::parse(self.description).expect(WITHIN),
        }
    }
}

impl DemoHero {
    fn build(&self) -> NewHero {
        NewHero {
            name: HeroName::parse(self.name).expect(WITHIN),
            planet: Planet::parse(self.planet).expect(WITHIN),
            allergies: parsed(self.allergies, Allergy::parse),
        }
    }
}

fn parsed<T>(texts: &[&str], parse: fn(&str) -> Result<T, TextError>) -> Vec<T> {
    texts.iter().map(|text| parse(text).expect(WITHIN)).collect()
}

#[cfg(test)]
mod tests {
    use galley_protocol::allergy::fold;

    use super::{HEROES, MEALS};

    #[test]
    fn the_demo_lies_within_the_bounds() {
        let meals: Vec<_> = MEALS.iter().map(super::DemoMeal::build).collect();
        let heroes: Vec<_> = HEROES.iter().map(super::DemoHero::build).collect();
        assert_eq!((meals.len(), heroes.len()), (MEALS.len(), HEROES.len()));
    }

    #[test]
    fn every_hero_finds_something_to_eat_and_most_meet_a_conflict() {
        let conflicts = |hero: &super::DemoHero| {
            let allergies: Vec<_> = hero.allergies.iter().map(|text| fold(text)).collect();
            MEALS
                .iter()
                .filter(|meal| meal.ingredients.iter().any(|text| allergies.contains(&fold(text))))
                .count()
        };
        for hero in &HEROES {
            let conflicts = conflicts(hero);
            assert!(conflicts < MEALS.len(), "{}", hero.name);
            assert_eq!(conflicts > 0, !hero.allergies.is_empty(), "{}", hero.name);
        }
    }
}
