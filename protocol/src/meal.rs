//! Meals.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fields::Fields;
use crate::problem::Problem;
use crate::problem_type::ProblemType;
use crate::resource::Resource;
use crate::strict::Strict;
use crate::{Description, Ingredient, MealId, MealName, Planet, Price, Version};

/// A meal on the menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Meal {
    /// Its identifier.
    pub id: MealId,
    /// Its name.
    pub name: MealName,
    /// What is in it.
    #[schema(max_items = 100)]
    pub ingredients: Vec<Ingredient>,
    /// What it costs.
    pub price: Price,
    /// Where it comes from.
    pub origin_planet: Planet,
    /// What to expect of it.
    pub description: Description,
    /// Rises by one with each change; the `ETag`.
    pub version: Version,
}

/// What is needed to create a meal, and to replace one whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMeal {
    /// Its name.
    pub name: MealName,
    /// What is in it.
    #[schema(required = false, max_items = 100)]
    pub ingredients: Vec<Ingredient>,
    /// What it costs.
    pub price: Price,
    /// Where it comes from.
    pub origin_planet: Planet,
    /// What to expect of it.
    #[schema(required = false)]
    pub description: Description,
}

/// A change of some fields (JSON merge patch, RFC 7396): an absent field stays, `null` restores a
/// default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MealPatch {
    /// A new name.
    #[schema(nullable = false)]
    pub name: Option<MealName>,
    /// New ingredients; `null` means none.
    #[schema(max_items = 100)]
    pub ingredients: Option<Vec<Ingredient>>,
    /// A new price.
    #[schema(nullable = false)]
    pub price: Option<Price>,
    /// A new planet.
    #[schema(nullable = false)]
    pub origin_planet: Option<Planet>,
    /// A new description; `null` means none.
    pub description: Option<Description>,
}

/// The meal of an order, as it was when the order was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MealRef {
    /// Its identifier.
    pub id: MealId,
    /// Its name.
    pub name: MealName,
    /// Its price when the order was placed.
    pub price: Price,
}

impl Resource for Meal {
    type Id = MealId;
    type New = NewMeal;
    type Patch = MealPatch;

    const WORD: &str = "meal";
    const WORDS: &str = "meals";
    const NOT_FOUND: ProblemType = ProblemType::MealNotFound;

    fn id(&self) -> MealId {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }
}

/// Every field is set.
impl From<NewMeal> for MealPatch {
    fn from(new: NewMeal) -> Self {
        Self {
            name: Some(new.name),
            ingredients: Some(new.ingredients),
            price: Some(new.price),
            origin_planet: Some(new.origin_planet),
            description: Some(new.description),
        }
    }
}

impl NewMeal {
    /// Reads a request body.
    ///
    /// # Errors
    /// A problem that names every wrong field.
    pub fn from_json(body: impl Into<Strict>) -> Result<Self, Problem> {
        let mut fields = Fields::new(body)?;
        let name = fields.required_text("name", MealName::parse);
        let ingredients = fields.list("ingredients", Ingredient::parse);
        let price = fields.required_number("price", Price::from_number);
        let origin_planet = fields.required_text("origin_planet", Planet::parse);
        let description = fields.text("description", Description::parse);
        fields.finish(|| {
            Some(Self {
                name: name?,
                ingredients: ingredients.unwrap_or_default(),
                price: price?,
                origin_planet: origin_planet?,
                description: description.unwrap_or_default(),
            })
        })
    }
}

impl MealPatch {
    /// Reads a request body.
    ///
    /// # Errors
    /// A problem that names every wrong field.
    pub fn from_json(body: impl Into<Strict>) -> Result<Self, Problem> {
        let mut fields = Fields::new(body)?;
        let name = fields.text("name", MealName::parse);
        let ingredients =
            fields.reset_or("ingredients", |fields| fields.list("ingredients", Ingredient::parse));
        let price = fields.number("price", Price::from_number);
        let origin_planet = fields.text("origin_planet", Planet::parse);
        let description =
            fields.reset_or("description", |fields| fields.text("description", Description::parse));
        fields.finish(|| Some(Self { name, ingredients, price, origin_planet, description }))
    }
}
