//! What the gateway said, as a client in Rust reads it.

use serde::Deserialize;
use serde_json::Value;

use super::{CommandId, Resume, Totals};
use crate::{Deleted, Hero, Order};

/// A frame of the gateway. A client passes over fields and types that it does not know: they are of
/// a later version.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Received {
    /// The first.
    Welcome {
        /// Whose socket this is; absent for staff.
        hero: Option<Hero>,
        /// How the connection began.
        resume: Resume,
        /// The active orders, and those that changed since the cursor.
        orders: Vec<Order>,
        /// The orders deleted since the cursor.
        #[serde(default)]
        deleted: Vec<Deleted>,
        /// Resumes after this; absent for staff.
        cursor: Option<String>,
    },
    /// A transition.
    Order {
        /// The state it led to.
        order: Order,
        /// Resumes after this.
        cursor: String,
    },
    /// A deletion.
    Deleted {
        /// Which order, and its last version.
        #[serde(flatten)]
        deleted: Deleted,
        /// Resumes after this.
        cursor: String,
    },
    /// What changed since the last of these.
    Feed {
        /// The newest states.
        orders: Vec<Order>,
        /// The deletions.
        #[serde(default)]
        deleted: Vec<Deleted>,
        /// How many orders there are; absent when the gateway does not know.
        totals: Option<Totals>,
        /// True when changes are missing; they follow.
        #[serde(default)]
        gap: bool,
        /// Resumes after this; absent while something is missing.
        cursor: Option<String>,
    },
    /// What changed while the client was slow.
    Resync {
        /// The newest states.
        orders: Vec<Order>,
        /// The deletions.
        #[serde(default)]
        deleted: Vec<Deleted>,
        /// Resumes after this.
        cursor: String,
    },
    /// A command was carried out.
    Reply {
        /// The command's.
        id: Option<CommandId>,
        /// Of `place`, `cancel` and `get`.
        order: Option<Box<Order>>,
        /// Of `watch`.
        #[serde(default)]
        watching: bool,
        /// For `watch`, the number of orders; absent when the gateway does not know.
        totals: Option<Totals>,
        /// For `watch` with a cursor, how it began.
        resume: Option<Resume>,
        /// For `watch`, resumes after this.
        cursor: Option<String>,
    },
    /// A command was not carried out.
    Error {
        /// The command's.
        id: Option<CommandId>,
        /// Why.
        problem: Value,
    },
    /// The answer to a `ping`.
    Pong {
        /// The command's.
        id: Option<CommandId>,
    },
    /// The gateway is leaving.
    Reconnect {
        /// Come back after so many milliseconds.
        after_ms: u64,
    },
    /// The token expires soon.
    Expiring {
        /// It does after so many milliseconds.
        after_ms: u64,
    },
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

impl Received {
    /// The states of orders that the frame tells.
    #[must_use]
    pub fn orders(&self) -> &[Order] {
        match self {
            Self::Welcome { orders, .. }
            | Self::Feed { orders, .. }
            | Self::Resync { orders, .. } => orders,
            Self::Order { order, .. } => std::slice::from_ref(order),
            Self::Reply { order, .. } => order.as_deref().map_or(&[], std::slice::from_ref),
            Self::Deleted { .. }
            | Self::Error { .. }
            | Self::Pong { .. }
            | Self::Reconnect { .. }
            | Self::Expiring { .. }
            | Self::Unknown => &[],
        }
    }

    /// The deletions that the frame tells.
    #[must_use]
    pub fn deleted(&self) -> &[Deleted] {
        match self {
            Self::Welcome { deleted, .. }
            | Self::Feed { deleted, .. }
            | Self::Resync { deleted, .. } => deleted,
            Self::Deleted { deleted, .. } => std::slice::from_ref(deleted),
            Self::Order { .. }
            | Self::Reply { .. }
            | Self::Error { .. }
            | Self::Pong { .. }
            | Self::Reconnect { .. }
            | Self::Expiring { .. }
            | Self::Unknown => &[],
        }
    }

    /// Where to resume after this frame.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        match self {
            Self::Welcome { cursor, .. }
            | Self::Feed { cursor, .. }
            | Self::Reply { cursor, .. } => cursor.as_deref(),
            Self::Order { cursor, .. }
            | Self::Deleted { cursor, .. }
            | Self::Resync { cursor, .. } => Some(cursor),
            Self::Error { .. }
            | Self::Pong { .. }
            | Self::Reconnect { .. }
            | Self::Expiring { .. }
            | Self::Unknown => None,
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
