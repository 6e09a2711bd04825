//! The caller of a request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use galley_protocol::jwt::Who;
use galley_protocol::{HeroId, Problem, ProblemType};

use super::Refusal;
use crate::auth::Claims;
use crate::http::entrance::Outside;
use crate::limits::{Address, CallerKey};
use crate::state::AppState;

/// The caller of a request: the owner of its token, or anybody if there is no authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(Option<Claims>);

impl Caller {
    /// Anybody, because there is no authentication.
    pub const ANYBODY: Self = Self(None);

    /// The hero whose data alone the caller may see; `None` if it may see everything.
    #[must_use]
    pub fn hero_id(self) -> Option<HeroId> {
        match self.0?.who {
            Who::Hero(id) => Some(id),
            Who::Staff => None,
        }
    }

    /// Returns true if the caller may see what belongs to a hero. The answer for what it may not
    /// see must be the same as for what does not exist.
    #[must_use]
    pub fn may_see(self, hero_id: HeroId) -> bool {
        self.hero_id().is_none_or(|own| own == hero_id)
    }

    /// Returns true if the caller may do what only staff may.
    #[must_use]
    pub fn is_staff(self) -> bool {
        self.hero_id().is_none()
    }

    /// The unit of its limits by its token; `None` without authentication.
    #[must_use]
    pub fn token_key(self) -> Option<CallerKey> {
        self.0.map(|claims| match claims.who {
            Who::Hero(id) => CallerKey::Hero(id),
            Who::Staff => CallerKey::Staff(claims.subject),
        })
    }

    /// The unit of its limits. Without authentication it is the hero of its socket, if any, or else
    /// its address.
    #[must_use]
    pub fn key(self, hero_id: Option<HeroId>, address: Address) -> CallerKey {
        let without_token = || hero_id.map_or(CallerKey::Address(address), CallerKey::Hero);
        self.token_key().unwrap_or_else(without_token)
    }

    /// The claims of its token; `None` without authentication.
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

/// The guard has stored the caller in the request. On a route without a guard the extraction fails,
/// unless there is no authentication.
impl FromRequestParts<AppState> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        if state.verifier.is_none() {
            return Ok(Self::ANYBODY);
        }
        parts.extensions.get().copied().ok_or_else(|| Problem::new(ProblemType::Internal).into())
    }
}

/// The unit of the limits of a request.
impl FromRequestParts<AppState> for CallerKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Refusal> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let outside = parts.extensions.get::<Outside>();
        let outside = outside.ok_or_else(|| Problem::new(ProblemType::Internal))?;
        Ok(caller.key(None, Address::from(outside.address)))
    }
}
