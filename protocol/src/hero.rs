//! Heroes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fields::Fields;
use crate::problem::Problem;
use crate::problem_type::ProblemType;
use crate::resource::Resource;
use crate::strict::Strict;
use crate::{Allergy, HeroId, HeroName, Planet, Version};

/// A hero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hero {
    /// Its identifier.
    pub id: HeroId,
    /// Its name.
    pub name: HeroName,
    /// Where it comes from.
    pub planet: Planet,
    /// What it cannot eat: a set, in the order given; entries that match each other are kept once.
    #[schema(max_items = 100)]
    pub allergies: Vec<Allergy>,
    /// Rises by one with each change; the `ETag`.
    pub version: Version,
}

/// What is needed to create a hero, and to replace one whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHero {
    /// Its name.
    pub name: HeroName,
    /// Where it comes from.
    pub planet: Planet,
    /// What it cannot eat.
    #[schema(required = false, max_items = 100)]
    pub allergies: Vec<Allergy>,
}

/// A change of some fields (JSON merge patch, RFC 7396): an absent field stays, `null` restores a
/// default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeroPatch {
    /// A new name.
    #[schema(nullable = false)]
    pub name: Option<HeroName>,
    /// A new planet.
    #[schema(nullable = false)]
    pub planet: Option<Planet>,
    /// New allergies; `null` means none.
    #[schema(max_items = 100)]
    pub allergies: Option<Vec<Allergy>>,
}

/// The hero of an order, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeroRef {
    /// Its identifier.
    pub id: HeroId,
    /// Its name.
    pub name: HeroName,
}

impl Resource for Hero {
    type Id = HeroId;
    type New = NewHero;
    type Patch = HeroPatch;

    const WORD: &str = "hero";
    const WORDS: &str = "heroes";
    const NOT_FOUND: ProblemType = ProblemType::HeroNotFound;

    fn id(&self) -> HeroId {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }
}

/// Every field is set.
impl From<NewHero> for HeroPatch {
    fn from(new: NewHero) -> Self {
        Self { name: Some(new.name), planet: Some(new.planet), allergies: Some(new.allergies) }
    }
}

impl NewHero {
    /// Reads a request body.
    ///
    /// # Errors
    /// A problem that names every wrong field.
    pub fn from_json(body: impl Into<Strict>) -> Result<Self, Problem> {
        let mut fields = Fields::new(body)?;
        let name = fields.required_text("name", HeroName::parse);
        let planet = fields.required_text("planet", Planet::parse);
        let allergies = fields.set("allergies", Allergy::parse, Allergy::as_str);
        fields.finish(|| {
            Some(Self { name: name?, planet: planet?, allergies: allergies.unwrap_or_default() })
        })
    }
}

impl HeroPatch {
    /// Reads a request body.
    ///
    /// # Errors
    /// A problem that names every wrong field.
    pub fn from_json(body: impl Into<Strict>) -> Result<Self, Problem> {
        let mut fields = Fields::new(body)?;
        let name = fields.text("name", HeroName::parse);
        let planet = fields.text("planet", Planet::parse);
        let allergies = fields.reset_or("allergies", |fields| {
            fields.set("allergies", Allergy::parse, Allergy::as_str)
        });
        fields.finish(|| Some(Self { name, planet, allergies }))
    }
}
