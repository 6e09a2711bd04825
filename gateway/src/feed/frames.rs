//! The `feed` frames of one tick: watchers that want the same and have come as far get the same
//! bytes, made once.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use galley_protocol::frame::Totals;
use galley_protocol::{ResumeCursor, SignedCursor, Watch};
use tokio::time::Instant;

/// The most frames that are kept; at the bound the oldest is forgotten, and made again for whoever
/// comes late.
const MAX_FRAMES: usize = 16;

/// The frames made lately.
#[derive(Debug, Default)]
pub struct Frames(Mutex<VecDeque<(Key, Made)>>);

/// The inputs of a frame: watchers with equal keys share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The filter of the watchers.
    pub watch: Watch,
    /// The moment of the tick, which all watchers of a rate have in common.
    pub tick: Instant,
    /// Where it begins.
    pub from: u64,
    /// True if changes before that were dropped.
    pub gap: bool,
    /// True while something is still to be read: then the frame moves the client to no cursor.
    pub missing: bool,
    /// Up to here it would promise too much to carry a cursor.
    pub left: u64,
}

/// A frame, and where it leads.
#[derive(Clone, Debug)]
pub struct Made {
    /// The JSON; nothing when nothing is to be shown.
    pub text: Option<Bytes>,
    /// The totals in it, if they are known.
    pub totals: Option<Totals>,
    /// Where the next one begins.
    pub to: u64,
    /// True if there is more to be shown already.
    pub more: bool,
    /// Resumes after it; also as its text.
    pub cursor: Option<(ResumeCursor, SignedCursor)>,
}

impl Frames {
    /// The frame for this, made now or before.
    pub fn get_or_make(&self, key: Key, encode: impl FnOnce(&Key) -> Made) -> Made {
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = frames.iter().find(|(known, _)| *known == key) {
            return made.clone();
        }
        let made = encode(&key);
        if frames.len() == MAX_FRAMES {
            frames.pop_front();
        }
        frames.push_back((key, made.clone()));
        made
    }

    /// Forgets all: nobody watches any more.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
