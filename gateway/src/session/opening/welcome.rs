//! The welcome, which is the first frame of a session, and the stream that continues from it.

use std::collections::HashMap;

use galley_protocol::frame::{Resume, ServerFrame, Welcome};
use galley_protocol::{Audience, Language, OrderId, SignedCursor, Version};
use galley_store::{CursorKeys, Snapshot};

use super::admission::{Admitted, Role};
use crate::hub::VersionSeen;
use crate::metrics;
use crate::session::running::outgoing::Stream;
use crate::session::wire::WireFrame;
use crate::state::AppState;

/// Returns the stream of an admitted client, and its first frame.
pub fn begin(
    state: AppState,
    Admitted { seat, place, role, caller: _, key: _, token }: Admitted,
) -> (Stream, WireFrame) {
    if let Role::Hero(snapshot) = &role {
        let verdict = match snapshot.resume {
            Resume::Fresh => "fresh",
            Resume::Resumed => "resumed",
            Resume::Resynced => "resynced",
        };
        ::metrics::counter!(metrics::RESUMES, "verdict" => verdict).increment(1);
        place.note_sent(&states(snapshot));
        place.outbox().know_hero(snapshot.hero.version);
        place.outbox().know(snapshot.remainder.unwrap_or(snapshot.cursor));
        // The orders that did not fit into the welcome follow in resyncs.
        if snapshot.remainder.is_some() {
            place.outbox().fall_behind(snapshot.remainder);
        }
    }
    let welcome = welcome(&role, state.commands.store().cursor_keys(), place.outbox().language());
    (Stream::new(state, place, seat, token), welcome)
}

/// Returns the first frame of an event stream of staff, which watches the feed without a command.
pub fn watching(
    resume: Option<Resume>,
    cursor: Option<SignedCursor>,
    language: Language,
) -> WireFrame {
    let resume = resume.unwrap_or(Resume::Fresh);
    WireFrame::from(&ServerFrame::Welcome(Welcome::of_staff(resume, cursor, language)))
}

fn welcome(role: &Role, keys: &CursorKeys, language: Language) -> WireFrame {
    let welcome = match role {
        Role::Staff => Welcome::of_staff(Resume::Fresh, None, language),
        Role::Hero(snapshot) => Welcome {
            hero: Some(&snapshot.hero),
            resume: snapshot.resume,
            orders: &snapshot.orders,
            deleted: &snapshot.deleted,
            cursor: Some(keys.sign(snapshot.remainder.unwrap_or(snapshot.cursor))),
            help: language.help(Audience::Hero),
        },
    };
    WireFrame::from(&ServerFrame::Welcome(welcome))
}

/// Returns the states in a welcome. A first version is left out, because nothing is older.
fn states(snapshot: &Snapshot) -> HashMap<OrderId, VersionSeen> {
    let orders = snapshot.orders.iter().map(VersionSeen::of);
    let deleted = snapshot.deleted.iter().map(VersionSeen::of_deleted);
    orders.chain(deleted).filter(|(_, state)| state.version > Version::FIRST).collect()
}
