//! Places an order with the client that the OpenAPI Generator makes, reads it and cancels it.

use openapi::apis::configuration::Configuration;
use openapi::apis::{heroes_api, meals_api, orders_api};
use openapi::models::{NewHero, NewMeal, NewOrder, Status};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let base_path = std::env::args().nth(1).expect("an address");
    let galley = Configuration { base_path, ..Configuration::new() };
    let hero = NewHero::new("Zoé".into(), "Earth".into());
    let hero = heroes_api::create_hero(&galley, hero, None).await.expect("a hero");
    let meal = NewMeal::new("Onion soup".into(), "Earth".into(), 19.99);
    let meal = meals_api::create_meal(&galley, meal, None).await.expect("a meal");
    let new = NewOrder::new(hero.id, meal.id);
    let placed = orders_api::place_order(&galley, new, Some("a key")).await.expect("an order");
    let read = orders_api::get_order(&galley, placed.id, None).await.expect("the order");
    assert_eq!((read.hero.name.as_str(), read.meal.price), ("Zoé", 19.99));
    let cancelled = orders_api::cancel_order(&galley, placed.id, None, None).await;
    assert_eq!(cancelled.expect("the order").status, Status::Cancelled);
}
