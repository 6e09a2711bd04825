//! The life cycle of an order, in one transition function. The CHECKs of both database schemas
//! state the same rules.
//!
//! ```text
//! PENDING -> IN_PROGRESS -> COMPLETED
//! PENDING -> CANCELLED         (hero_request, hero_gone, meal_gone)
//! IN_PROGRESS -> CANCELLED     (allergy, hero_request, hero_gone, meal_gone, undeliverable)
//! ```

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an order stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Accepted, waiting for a worker («en attente»).
    Pending,
    /// A worker prepares it («en cours de traitement»).
    InProgress,
    /// Ended well («terminée»).
    Completed,
    /// Ended without a meal («annulée»).
    Cancelled,
}

/// Why an order was cancelled, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The hero asked for it.
    HeroRequest,
    /// An ingredient of the meal is one of the hero's allergies.
    Allergy,
    /// The hero was deleted before the order was prepared.
    HeroGone,
    /// The meal was deleted before the order was prepared.
    MealGone,
    /// Every worker that took it died.
    Undeliverable,
}

/// A step in the life of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// A worker claims the order.
    Start,
    /// The preparation is finished.
    Complete,
    /// The order ends without a meal.
    Cancel(Reason),
}

impl Transition {
    /// Returns every step.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Start, Self::Complete].into_iter().chain(Reason::ALL.map(Self::Cancel))
    }
}

impl Status {
    /// Every status, in the order of the life cycle.
    pub const ALL: [Self; 4] = [Self::Pending, Self::InProgress, Self::Completed, Self::Cancelled];

    /// Returns the status after a step; `None` for every step that the life cycle does not have.
    #[must_use]
    pub const fn step(self, step: Transition) -> Option<Self> {
        match (self, step) {
            (Self::Pending, Transition::Start) => Some(Self::InProgress),
            (Self::InProgress, Transition::Complete) => Some(Self::Completed),
            (
                Self::Pending,
                Transition::Cancel(Reason::HeroRequest | Reason::HeroGone | Reason::MealGone),
            )
            | (Self::InProgress, Transition::Cancel(_)) => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// Returns the versions that an order with this status can have; `None`: a deleted order.
    #[must_use]
    pub const fn versions(status: Option<Self>) -> RangeInclusive<i32> {
        match status {
            Some(Self::Pending) => 1..=1,
            Some(Self::InProgress) => 2..=2,
            Some(Self::Completed) => 3..=3,
            Some(Self::Cancelled) => 2..=3,
            None => 3..=4,
        }
    }

    /// Returns true if the order can still change.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::InProgress)
    }

    /// Returns the word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Returns the number in the database.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Pending => 0,
            Self::InProgress => 1,
            Self::Completed => 2,
            Self::Cancelled => 3,
        }
    }

    /// Returns the status with this number in the database.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The error for a text that is not a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusError;

impl FromStr for Status {
    type Err = StatusError;
    fn from_str(text: &str) -> Result<Self, StatusError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(StatusError)
    }
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::HeroRequest, Self::Allergy, Self::HeroGone, Self::MealGone, Self::Undeliverable];

    /// Returns the number in the database.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::HeroRequest => 1,
            Self::Allergy => 2,
            Self::HeroGone => 3,
            Self::MealGone => 4,
            Self::Undeliverable => 5,
        }
    }

    /// Returns the reason with this number in the database.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::{Reason, Status, Transition};

    #[test]
    fn every_pair_of_status_and_step_is_decided() {
        use Reason::{Allergy, HeroGone, HeroRequest, MealGone, Undeliverable};
        use Status::{Cancelled, Completed, InProgress, Pending};
        use Transition::{Cancel, Complete, Start};
        let steps = [
            Start,
            Complete,
            Cancel(HeroRequest),
            Cancel(HeroGone),
            Cancel(MealGone),
            Cancel(Allergy),
            Cancel(Undeliverable),
        ];
        let c = Some(Cancelled);
        let table = [
            (Pending, [Some(InProgress), None, c, c, c, None, None]),
            (InProgress, [None, Some(Completed), c, c, c, c, c]),
            (Completed, [None; 7]),
            (Cancelled, [None; 7]),
        ];
        for (from, ends) in table {
            for (step, end) in steps.into_iter().zip(ends) {
                assert_eq!(from.step(step), end, "{from} {step:?}");
            }
        }
    }

    #[test]
    fn codes_and_words_lead_back_to_where_they_came_from() {
        for status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(status));
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).expect("a string"), status.as_str());
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
    }
}
