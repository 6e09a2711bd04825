//! The first frame.

use galley_protocol::frame::{Resume, ServerFrame, Welcome};
use galley_protocol::{SignedCursor, audience};
use galley_store::CursorKeys;

use super::entrance::Role;
use super::wire::Frame;

/// The first frame of an event stream of staff, which watches from the beginning.
pub fn watching(resume: Option<Resume>, cursor: Option<SignedCursor>) -> Frame {
    let resume = resume.unwrap_or(Resume::Fresh);
    let welcome = Welcome {
        hero: None,
        resume,
        orders: &[],
        deleted: &[],
        cursor,
        help: audience::STAFF_HELP,
    };
    Frame::from(&ServerFrame::Welcome(welcome))
}

/// The first frame.
pub fn welcome(role: &Role, keys: &CursorKeys) -> Frame {
    let welcome = match role {
        Role::Staff => Welcome {
            hero: None,
            resume: Resume::Fresh,
            orders: &[],
            deleted: &[],
            cursor: None,
            help: audience::STAFF_HELP,
        },
        Role::Hero(snapshot) => Welcome {
            hero: Some(&snapshot.hero),
            resume: snapshot.resume,
            orders: &snapshot.orders,
            deleted: &snapshot.deleted,
            cursor: Some(keys.sign(snapshot.rest.unwrap_or(snapshot.cursor))),
            help: audience::HELP,
        },
    };
    Frame::from(&ServerFrame::Welcome(welcome))
}
