//! Who asks.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use galley_protocol::{HeroId, Problem, ProblemType};

use super::Refusal;
use crate::auth::{Claims, Who};
use crate::state::AppState;

/// Who asks: whom its token says, or anybody where nobody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(Option<Claims>);

impl Caller {
    /// Nobody was asked.
    pub const ANYBODY: Self = Self(None);

    /// The hero beside whose things this caller sees none; nothing when it sees everything.
    #[must_use]
    pub fn hero_id(self) -> Option<HeroId> {
        match self.0?.who {
            Who::Hero(id) => Some(id),
            Who::Staff => None,
        }
    }

    /// Returns true if it may see what belongs to a hero. What it may not see must be answered like
    /// what is not there.
    #[must_use]
    pub fn may_see(self, hero_id: HeroId) -> bool {
        self.hero_id().is_none_or(|own| own == hero_id)
    }

    /// Returns true if it may do what is staff's.
    #[must_use]
    pub fn is_staff(self) -> bool {
        self.hero_id().is_none()
    }

    /// What its token says; nothing where nobody is asked.
    #[must_use]
    pub fn claims(self) -> Option<Claims> {
        self.0
    }
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        Self(Some(claims))
    }
}

/// As the guard found it. A route without a guard has no caller, and a handler that wants one fails
/// there.
impl FromRequestParts<AppState> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        if state.verifier.is_none() {
            return Ok(Self::ANYBODY);
        }
        parts.extensions.get().copied().ok_or_else(|| Problem::new(ProblemType::Internal).into())
    }
}
