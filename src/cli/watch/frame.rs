//! A frame of the gateway, as lines for people.

use galley_protocol::{Deleted, Hero, Order, OrderId, Version};
use serde::Deserialize;
use serde_json::Value;

/// A frame, as far as a watcher reads it.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Frame {
    /// The first; without a cursor for staff.
    Welcome {
        hero: Option<Hero>,
        orders: Vec<Order>,
        #[serde(default)]
        deleted: Vec<Deleted>,
        cursor: Option<String>,
    },
    /// A transition.
    Order { order: Order, cursor: String },
    /// A deletion.
    Deleted { order_id: OrderId, version: Version, cursor: String },
    /// What changed since the last of these.
    Feed {
        orders: Vec<Order>,
        #[serde(default)]
        deleted: Vec<Deleted>,
    },
    /// What changed while this program was slow.
    Resync {
        orders: Vec<Order>,
        #[serde(default)]
        deleted: Vec<Deleted>,
        cursor: String,
    },
    /// A command was carried out; `watching` when it was the staff's.
    Reply {
        #[serde(default)]
        watching: bool,
    },
    /// The gateway is leaving.
    Reconnect { after_ms: u64 },
    /// The gateway did not like what it heard.
    Error { problem: Value },
    /// Nothing that a watcher shows.
    #[serde(other)]
    Other,
}

impl Frame {
    /// Where to resume after this frame.
    pub fn cursor(&self) -> Option<&str> {
        match self {
            Self::Welcome { cursor, .. } => cursor.as_deref(),
            Self::Order { cursor, .. } | Self::Deleted { cursor, .. } | Self::Resync { cursor, .. } => Some(cursor),
            Self::Feed { .. } | Self::Reply { .. } | Self::Reconnect { .. } | Self::Error { .. } | Self::Other => None,
        }
    }

    /// A line for each order that the frame tells of.
    pub fn lines(&self) -> String {
        match self {
            Self::Welcome { orders, deleted, .. } | Self::Feed { orders, deleted } | Self::Resync { orders, deleted, .. } => {
                orders.iter().map(order_line).chain(deleted.iter().map(deleted_line)).collect()
            }
            Self::Order { order, .. } => order_line(order),
            Self::Deleted { order_id, version, .. } => deleted_line(&Deleted { order_id: *order_id, version: *version }),
            Self::Reply { .. } | Self::Reconnect { .. } | Self::Error { .. } | Self::Other => String::new(),
        }
    }
}

fn order_line(order: &Order) -> String {
    let Order { id, version, hero_id, meal_id, status, .. } = order;
    let line = format!("{}  order {id} v{version}  hero {hero_id}  meal {meal_id}  {status}", order.changed_time());
    match &order.message {
        Some(message) => format!("{line}  {}\n", message.split_whitespace().collect::<Vec<_>>().join(" ")),
        None => line + "\n",
    }
}

fn deleted_line(deleted: &Deleted) -> String {
    format!("{:24}  order {} v{}  deleted\n", "", deleted.order_id, deleted.version)
}

#[cfg(test)]
mod tests {
    use super::Frame;

    const ORDER: &str = r#"{"id":7,"hero_id":1,"meal_id":2,"status":"CANCELLED","message":"Allergy conflict:\nNut","reason":"allergy","version":3,"order_time":"1970-01-01T00:00:01.000Z","started_time":"1970-01-01T00:00:02.000Z","completed_time":"1970-01-01T00:00:02.000Z"}"#;
    const LINE: &str = "1970-01-01T00:00:02.000Z  order 7 v3  hero 1  meal 2  CANCELLED  Allergy conflict: Nut\n";
    const GONE: &str = "                          order 8 v4  deleted\n";

    #[test]
    fn each_frame_is_told_in_lines() {
        let gone = r#""deleted":[{"order_id":8,"version":4}]"#;
        for (frame, lines, cursor) in [
            (
                format!(r#"{{"type":"welcome","resume":"resumed","orders":[{ORDER}],{gone},"cursor":"r1.1","help":""}}"#),
                format!("{LINE}{GONE}"),
                Some("r1.1"),
            ),
            (r#"{"type":"welcome","resume":"fresh","orders":[],"help":""}"#.to_owned(), String::new(), None),
            (format!(r#"{{"type":"order","order":{ORDER},"cursor":"r2.1"}}"#), LINE.to_owned(), Some("r2.1")),
            (r#"{"type":"deleted","order_id":8,"version":4,"cursor":"r3.1"}"#.to_owned(), GONE.to_owned(), Some("r3.1")),
            (format!(r#"{{"type":"feed","orders":[{ORDER}],"totals":{{}}}}"#), LINE.to_owned(), None),
            (format!(r#"{{"type":"resync","orders":[{ORDER}],{gone},"cursor":"r4.1"}}"#), format!("{LINE}{GONE}"), Some("r4.1")),
            (r#"{"type":"reconnect","after_ms":1234}"#.to_owned(), String::new(), None),
            (r#"{"type":"reply","watching":true,"totals":{}}"#.to_owned(), String::new(), None),
            (r#"{"type":"a frame of tomorrow","x":[]}"#.to_owned(), String::new(), None),
        ] {
            let read: Frame = serde_json::from_str(&frame).expect("a frame");
            assert_eq!(read.lines(), lines, "{frame}");
            assert_eq!(read.cursor(), cursor, "{frame}");
        }
    }
}
