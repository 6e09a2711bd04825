//! The frames of the gateway, as a client in Rust reads them.

use std::slice::from_ref;

use serde::Deserialize;
use serde_json::Value;

use super::{CommandId, Resume, Totals};
use crate::{Deleted, Hero, MealId, Order};

/// A frame of the gateway. Unknown fields and types are ignored, because they belong to a later
/// version.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Received {
    /// The first frame.
    Welcome {
        /// The hero of the socket; absent for staff.
        hero: Option<Hero>,
        /// The result of the resume.
        resume: Resume,
        /// The active orders, and those that changed since the cursor.
        orders: Vec<Order>,
        /// The orders deleted since the cursor.
        #[serde(default)]
        deleted: Vec<Deleted>,
        /// The cursor after this frame; absent for staff.
        cursor: Option<String>,
    },
    /// A transition of an order.
    Order {
        /// The new state.
        order: Order,
        /// The cursor after this frame.
        cursor: String,
    },
    /// An order was deleted.
    Deleted {
        /// The order and its last version.
        #[serde(flatten)]
        deleted: Deleted,
        /// The cursor after this frame.
        cursor: String,
    },
    /// The hero of the socket was changed.
    Hero {
        /// The hero as it is now.
        hero: Hero,
    },
    /// The menu was changed.
    Menu {
        /// The meals that were added or changed.
        changed: Vec<MealId>,
        /// The meals that were deleted.
        deleted: Vec<MealId>,
        /// True if the whole menu must be read again; the lists are empty then.
        #[serde(default)]
        all: bool,
    },
    /// The changes since the last `feed` frame.
    Feed {
        /// The newest states.
        orders: Vec<Order>,
        /// The deletions.
        #[serde(default)]
        deleted: Vec<Deleted>,
        /// The number of orders by status; absent if the gateway does not know it.
        totals: Option<Totals>,
        /// True if changes are missing; they follow.
        #[serde(default)]
        gap: bool,
        /// The cursor after this frame; absent while something is missing.
        cursor: Option<String>,
    },
    /// The changes while the client was slow.
    Resync {
        /// The newest states.
        orders: Vec<Order>,
        /// The deletions.
        #[serde(default)]
        deleted: Vec<Deleted>,
        /// The cursor after this frame.
        cursor: String,
    },
    /// A command was carried out.
    Reply {
        /// The id of the command.
        id: Option<CommandId>,
        /// The order, in the reply to `place`, `cancel` and `get`.
        order: Option<Box<Order>>,
        /// True in the reply to `watch`.
        #[serde(default)]
        watching: bool,
        /// The number of orders by status, in the reply to `watch`; absent if the gateway does not
        /// know it.
        totals: Option<Totals>,
        /// The result of the resume, in the reply to `watch` with a cursor.
        resume: Option<Resume>,
        /// The cursor after this frame, in the reply to `watch`.
        cursor: Option<String>,
    },
    /// A command was not carried out.
    Error {
        /// The id of the command.
        id: Option<CommandId>,
        /// The problem.
        problem: Value,
    },
    /// The answer to a `ping`.
    Pong {
        /// The id of the command.
        id: Option<CommandId>,
    },
    /// The gateway is leaving.
    Reconnect {
        /// Milliseconds after which to reconnect.
        after_ms: u64,
    },
    /// The token expires soon.
    Expiring {
        /// Milliseconds until it expires.
        after_ms: u64,
    },
    /// A type of a later version.
    #[serde(other)]
    Unknown,
}

impl Received {
    /// Returns the states of orders in the frame.
    #[must_use]
    pub fn orders(&self) -> &[Order] {
        self.contents().0
    }

    /// Returns the deletions in the frame.
    #[must_use]
    pub fn deleted(&self) -> &[Deleted] {
        self.contents().1
    }

    /// Returns the cursor after this frame.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.contents().2
    }

    fn contents(&self) -> (&[Order], &[Deleted], Option<&str>) {
        match self {
            Self::Welcome { orders, deleted, cursor, .. }
            | Self::Feed { orders, deleted, cursor, .. } => (orders, deleted, cursor.as_deref()),
            Self::Resync { orders, deleted, cursor } => (orders, deleted, Some(cursor)),
            Self::Order { order, cursor } => (from_ref(order), &[], Some(cursor)),
            Self::Deleted { deleted, cursor } => (&[], from_ref(deleted), Some(cursor)),
            Self::Reply { order, cursor, .. } => {
                (order.as_deref().map_or(&[], from_ref), &[], cursor.as_deref())
            }
            Self::Hero { .. }
            | Self::Menu { .. }
            | Self::Error { .. }
            | Self::Pong { .. }
            | Self::Reconnect { .. }
            | Self::Expiring { .. }
            | Self::Unknown => (&[], &[], None),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::Received;
    use crate::frame::server::PINNED;

    #[test]
    fn every_pinned_frame_is_understood() {
        for line in PINNED.lines() {
            let frame: Received =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_ne!(frame, Received::Unknown, "{line}");
            let told: Value = serde_json::from_str(line).expect("JSON");
            if told["type"] == "menu" {
                continue; // it names meals
            }
            let count = |field: &str| told[field].as_array().map_or(0, Vec::len);
            assert_eq!(
                frame.orders().len(),
                count("orders") + usize::from(told["order"].is_object()),
                "{line}"
            );
            assert_eq!(
                frame.deleted().len(),
                count("deleted") + usize::from(told["type"] == "deleted"),
                "{line}"
            );
            assert_eq!(frame.cursor(), told["cursor"].as_str(), "{line}");
        }
    }

    #[test]
    fn what_is_of_a_later_version_is_passed_over() {
        for (line, unknown) in [
            (r#"{"type":"a frame of tomorrow","x":[]}"#, true),
            (r#"{"type":"reconnect","after_ms":1,"x":{}}"#, false),
            (
                r#"{"type":"deleted","order_id":7,"version":4,"cursor":"a cursor of tomorrow","x":1}"#,
                false,
            ),
        ] {
            let frame: Received = serde_json::from_str(line).expect("a frame");
            assert_eq!(frame == Received::Unknown, unknown, "{line}");
        }
    }
}
