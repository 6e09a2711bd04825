//! The `feed` frames of one tick. Watchers with the same filter and the same position share the
//! bytes of a frame.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use galley_protocol::frame::Totals;
use galley_protocol::{ResumeCursor, SignedCursor, Watch};
use tokio::time::Instant;

/// Bound of the frames kept. The oldest is dropped, and made again for a watcher that is late.
const MAX_FRAMES: usize = 16;

/// Frames made lately.
#[derive(Debug, Default)]
pub struct Frames(Mutex<VecDeque<(FrameKey, Made)>>);

/// The inputs of a frame: watchers with equal keys share it.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameKey {
    pub watch: Watch,
    /// Moment of the tick, the same for all watchers of a rate.
    pub tick: Instant,
    /// Position at which the frame begins.
    pub from: u64,
    /// True if changes before it were dropped unsent.
    pub gap: bool,
    /// True while missed changes are still being read. The frame carries no cursor then.
    pub missing: bool,
    /// Position that the frame must reach to carry a cursor.
    pub left: u64,
}

#[derive(Clone, Debug)]
pub struct Made {
    /// The JSON; `None` if there is nothing to show.
    pub text: Option<Bytes>,
    /// Totals in the frame, if they are known.
    pub totals: Option<Totals>,
    /// Position at which the next frame begins.
    pub to: u64,
    /// True if more changes are due already.
    pub more: bool,
    /// Cursor to resume after the frame, plain and signed.
    pub cursor: Option<(ResumeCursor, SignedCursor)>,
}

impl Frames {
    pub fn get_or_make(&self, key: FrameKey, encode: impl FnOnce(&FrameKey) -> Made) -> Made {
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = frames.iter().find(|(known, _)| *known == key) {
            return made.clone();
        }
        // Under the lock: watchers with the same key wait for the frame instead of making it again.
        let made = encode(&key);
        if frames.len() == MAX_FRAMES {
            frames.pop_front();
        }
        frames.push_back((key, made.clone()));
        made
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
