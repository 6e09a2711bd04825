//! The first frame.

use galley_protocol::frame::{Resume, ServerFrame, Welcome};
use galley_protocol::{ResumeCursor, words};
use galley_store::RETENTION;

use super::entrance::Role;
use super::wire::Frame;

/// The first frame.
pub fn welcome(role: &Role) -> Frame {
    let welcome = match role {
        Role::Staff => {
            Welcome { hero: None, resume: Resume::Fresh, orders: &[], deleted: &[], cursor: None, help: words::STAFF_HELP }
        }
        Role::Hero(snapshot, since) => {
            let resume = match since {
                None => Resume::Fresh,
                Some(since) if is_too_old(*since, snapshot.cursor) => Resume::Resynced,
                Some(_) => Resume::Resumed,
            };
            Welcome {
                hero: Some(&snapshot.hero),
                resume,
                orders: &snapshot.orders,
                deleted: &snapshot.deleted,
                cursor: Some(snapshot.cursor),
                help: words::HELP,
            }
        }
    };
    Frame::from(&ServerFrame::Welcome(welcome))
}

/// Deletions are kept for [`RETENTION`] only: what a cursor from before that missed cannot be told whole.
fn is_too_old(since: ResumeCursor, now: ResumeCursor) -> bool {
    let kept = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
    since.time < now.time.minus_millis(kept) || since.time > now.time
}
