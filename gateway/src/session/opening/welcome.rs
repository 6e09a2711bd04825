//! The first frame, and the stream that goes on from it.

use std::collections::HashMap;

use galley_protocol::frame::{Resume, ServerFrame, Welcome};
use galley_protocol::{OrderId, SignedCursor, Version, audience};
use galley_store::{CursorKeys, Snapshot};

use super::entrance::{Entered, Role};
use crate::hub::State;
use crate::metrics;
use crate::session::running::stream::Stream;
use crate::session::wire::Frame;
use crate::state::AppState;

/// Returns the stream of an admitted client, and its first frame.
pub fn begin(
    state: AppState,
    Entered { seat, place, role, caller: _, token }: Entered,
) -> (Stream, Frame) {
    if let Role::Hero(snapshot) = &role {
        let verdict = match snapshot.resume {
            Resume::Fresh => "fresh",
            Resume::Resumed => "resumed",
            Resume::Resynced => "resynced",
        };
        ::metrics::counter!(metrics::RESUMES, "verdict" => verdict).increment(1);
        place.tells(&told(snapshot));
        place.outbox().know(snapshot.rest.unwrap_or(snapshot.cursor));
        // The orders that did not fit into the welcome follow in resyncs.
        if snapshot.rest.is_some() {
            place.outbox().fall_behind(snapshot.rest);
        }
    }
    let welcome = welcome(&role, state.desk.store().cursor_keys());
    (Stream::new(state, place, seat, token), welcome)
}

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

fn welcome(role: &Role, keys: &CursorKeys) -> Frame {
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

/// Returns the states in a welcome. A first version is left out, because nothing is older.
fn told(snapshot: &Snapshot) -> HashMap<OrderId, State> {
    let orders = snapshot.orders.iter().map(State::of);
    let deleted = snapshot.deleted.iter().map(State::of_deleted);
    orders.chain(deleted).filter(|(_, state)| state.version > Version::FIRST).collect()
}
