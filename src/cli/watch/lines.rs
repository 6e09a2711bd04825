//! The plain display: a line for each change on standard output, the state of the connection on
//! standard error.

use std::time::Duration;

use galley_protocol::frame::Received;
use galley_protocol::harmless::harmless;
use galley_protocol::{Deleted, Order};
use tokio::sync::mpsc::Receiver;

use crate::cli::api::Remote;
use crate::cli::client_session::SessionEvent;
use crate::cli::error::CommandError;
use crate::cli::note::note;
use crate::cli::output;

/// Shows the news until the link ends.
pub async fn run(remote: &Remote, mut news: Receiver<SessionEvent>) -> Result<(), CommandError> {
    while let Some(news) = news.recv().await {
        match news {
            SessionEvent::Frame { text, .. } if remote.json => output::print(&text)?,
            SessionEvent::Frame { frame, .. } => output::print(&lines(&frame))?,
            SessionEvent::Watching { .. } if remote.json => {}
            SessionEvent::Watching { whose } => {
                note(&format!("watching the orders of {} at {}", harmless(&whose), remote.name()));
            }
            SessionEvent::Waiting { why, pause } => interruption(remote, &why, pause),
            SessionEvent::Connecting => {}
        }
    }
    Ok(())
}

/// Prints on standard error that the connection is interrupted.
pub fn interruption(remote: &Remote, why: &CommandError, pause: Duration) {
    match why.problem() {
        Some(problem) if remote.json => {
            let mut problem = problem.clone();
            problem["retry_after_ms"] = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).into();
            note(&problem.to_string());
        }
        _ => note(&format!("{why}; coming back in {:.1} s", pause.as_secs_f64())),
    }
}

/// Returns a line for each order in the frame.
fn lines(frame: &Received) -> String {
    frame.orders().iter().map(order_line).chain(frame.deleted().iter().map(deleted_line)).collect()
}

/// Returns the line for one state of an order.
pub fn order_line(order: &Order) -> String {
    let Order { id, version, hero_id, meal_id, status, .. } = order;
    let line = format!(
        "{}  order {id} v{version}  hero {hero_id}  meal {meal_id}  {status}",
        order.changed_time()
    );
    match &order.message {
        Some(message) => format!("{line}  {}\n", harmless(message)),
        None => line + "\n",
    }
}

fn deleted_line(deleted: &Deleted) -> String {
    format!("{:24}  order {} v{}  deleted\n", "", deleted.order_id, deleted.version)
}

#[cfg(test)]
mod tests {
    use super::lines;

    const ORDER: &str = r#"{"id":7,"hero_id":1,"meal_id":2,"status":"CANCELLED","message":"Allergy conflict:\nNut","reason":"allergy","version":3,"order_time":"1970-01-01T00:00:01.000Z","started_time":"1970-01-01T00:00:02.000Z","completed_time":"1970-01-01T00:00:02.000Z"}"#;
    const LINE: &str =
        "1970-01-01T00:00:02.000Z  order 7 v3  hero 1  meal 2  CANCELLED  Allergy conflict: Nut\n";
    const GONE: &str = "                          order 8 v4  deleted\n";

    #[test]
    fn each_frame_is_told_in_lines() {
        let gone = r#""deleted":[{"order_id":8,"version":4}]"#;
        for (frame, told) in [
            (
                format!(r#"{{"type":"welcome","resume":"resumed","orders":[{ORDER}],{gone},"cursor":"r1.1","help":""}}"#),
                format!("{LINE}{GONE}"),
            ),
            (r#"{"type":"welcome","resume":"fresh","orders":[],"help":""}"#.to_owned(), String::new()),
            (format!(r#"{{"type":"order","order":{ORDER},"cursor":"r2.1"}}"#), LINE.to_owned()),
            (r#"{"type":"deleted","order_id":8,"version":4,"cursor":"r3.1"}"#.to_owned(), GONE.to_owned()),
            (
                format!(
                    r#"{{"type":"feed","orders":[{ORDER}],"totals":{{"PENDING":1,"IN_PROGRESS":2,"COMPLETED":3,"CANCELLED":4}}}}"#
                ),
                LINE.to_owned(),
            ),
            (format!(r#"{{"type":"resync","orders":[{ORDER}],{gone},"cursor":"r4.1"}}"#), format!("{LINE}{GONE}")),
            (r#"{"type":"reconnect","after_ms":1234}"#.to_owned(), String::new()),
            (
                r#"{"type":"reply","watching":true,"totals":{"PENDING":1,"IN_PROGRESS":2,"COMPLETED":3,"CANCELLED":4}}"#
                    .to_owned(),
                String::new(),
            ),
            (r#"{"type":"menu","changed":[2],"deleted":[1]}"#.to_owned(), String::new()),
            (r#"{"type":"a frame of tomorrow","x":[]}"#.to_owned(), String::new()),
        ] {
            let read = serde_json::from_str(&frame).expect("a frame");
            assert_eq!(lines(&read), told, "{frame}");
        }
    }
}
