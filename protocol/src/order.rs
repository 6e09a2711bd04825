//! Orders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    HeroId, HeroRef, MealId, MealRef, OrderId, PlaceOrder, Reason, Status, Timestamp, Version,
};

/// One state of an order, whole. A frame carries all of it, so that a lost frame is healed by the
/// next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// Its identifier.
    pub id: OrderId,
    /// Who ordered.
    pub hero_id: HeroId,
    /// What was ordered.
    pub meal_id: MealId,
    /// Where it stands.
    pub status: Status,
    /// For people: why it was cancelled. At most 2,000 characters.
    #[schema(required, max_length = 2000)]
    pub message: Option<String>,
    /// For programs: why it was cancelled.
    #[schema(required)]
    pub reason: Option<Reason>,
    /// 1 at creation, one more with each transition. Of two states the one with the higher version
    /// is the newer.
    pub version: Version,
    /// When it was accepted.
    pub order_time: Timestamp,
    /// When a worker took it.
    #[schema(required)]
    pub started_time: Option<Timestamp>,
    /// When it ended, either way.
    #[schema(required)]
    pub completed_time: Option<Timestamp>,
}

/// An order with the names of its hero and its meal, as REST reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderView {
    /// The order.
    #[serde(flatten)]
    pub order: Order,
    /// Who ordered.
    pub hero: HeroRef,
    /// What was ordered.
    pub meal: MealRef,
}

/// An order that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Its identifier.
    pub order_id: OrderId,
    /// One more than the version of its last state.
    pub version: Version,
}

impl Order {
    /// Creates a PENDING order in its first version.
    #[must_use]
    pub fn placed(
        id: OrderId,
        hero_id: HeroId,
        command: &PlaceOrder,
        order_time: Timestamp,
    ) -> Self {
        Self {
            id,
            hero_id,
            meal_id: command.meal_id,
            status: Status::Pending,
            message: None,
            reason: None,
            version: Version::FIRST,
            order_time,
            started_time: None,
            completed_time: None,
        }
    }

    /// Returns the moment of its last transition.
    #[must_use]
    pub fn changed_time(&self) -> Timestamp {
        self.completed_time.or(self.started_time).unwrap_or(self.order_time)
    }

    /// Returns the `IN_PROGRESS` state of an order; `None` if no worker has claimed it. A claim may
    /// cancel an order at once; both transitions are then published.
    #[must_use]
    pub fn as_started(&self) -> Option<Self> {
        self.started_time?;
        Some(Self {
            status: Status::InProgress,
            message: None,
            reason: None,
            version: Version::FIRST.next(),
            completed_time: None,
            ..self.clone()
        })
    }
}
