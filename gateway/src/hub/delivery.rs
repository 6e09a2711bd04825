//! The updates that go to the sockets of one hero in one write.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use galley_protocol::{HeroId, Language, Status, Update};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::safe_cursor::SafeCursor;
use crate::framing::{put_frame, put_frame_of};

/// The most updates in one delivery. A slow socket that still holds one frame of a delivery keeps
/// the memory of all its frames.
const MAX_UPDATES: usize = 64;

/// An update on its way to sockets, with the safe cursor of the moment when the hub received it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    update: Update,
    /// The cursor that its frame carries.
    pub mark: Arc<SafeCursor>,
}

impl Notice {
    /// Creates a notice of an update.
    pub fn new(update: &Update, mark: &Arc<SafeCursor>) -> Self {
        Self { update: update.clone(), mark: Arc::clone(mark) }
    }
}

impl Deref for Notice {
    type Target = Update;
    fn deref(&self) -> &Update {
        &self.update
    }
}

/// Up to [`MAX_UPDATES`] updates of one hero, with their frames.
#[derive(Debug, Default)]
pub struct Delivery {
    /// The updates, at least one. Their `frame` is the whole text, and shares the memory of
    /// `frames`.
    pub updates: Vec<Notice>,
    /// Their WebSocket frames, one after the other.
    pub frames: Bytes,
    /// The frames in each language that a reader of these updates speaks.
    pub said: [OnceLock<Bytes>; Language::COUNT],
}

impl Delivery {
    /// Returns the deliveries of these updates, in order. An update from the bus shares the memory
    /// of its whole message, so its bytes are copied here.
    pub fn all(updates: &[Notice]) -> impl Iterator<Item = Self> {
        updates.chunks(MAX_UPDATES).map(|updates| {
            let mut frames = BytesMut::new();
            let texts: Vec<_> = updates
                .iter()
                .map(|Notice { update, mark }| {
                    let payload = [update.beginning(), &mark.ending];
                    put_frame_of(&mut frames, OpCode::Data(Data::Text), payload);
                    (frames.len() - payload[0].len() - payload[1].len())..frames.len()
                })
                .collect();
            let frames = frames.freeze();
            let updates = updates.iter().zip(texts).map(|(Notice { update, mark }, text)| {
                let update = Update { frame: frames.slice(text), ..update.clone() };
                Notice { update, mark: Arc::clone(mark) }
            });
            Self { updates: updates.collect(), frames: frames.clone(), said: Default::default() }
        })
    }

    /// Returns the frames for a reader. All share those in English, and those without a message.
    pub fn frames_in(&self, language: Language) -> &Bytes {
        let has_message = |update: &Notice| update.status == Some(Status::Cancelled);
        if language == Language::default() || !self.updates.iter().any(has_message) {
            return &self.frames;
        }
        self.said[language.index()].get_or_init(|| {
            let mut frames = BytesMut::new();
            for update in &self.updates {
                let said = language.messages_in(&update.frame);
                let text = said.as_deref().unwrap_or(&update.frame);
                put_frame(&mut frames, OpCode::Data(Data::Text), text);
            }
            frames.freeze()
        })
    }

    /// Returns the size of the texts in bytes, without the headers of their frames.
    pub fn bytes(&self) -> usize {
        self.updates.iter().map(|update| update.frame.len()).sum()
    }
}

/// Groups updates by hero, and keeps their order.
pub fn by_hero<'a>(updates: impl Iterator<Item = &'a Update>) -> HashMap<HeroId, Vec<&'a Update>> {
    let mut heroes = HashMap::<_, Vec<_>>::new();
    for update in updates {
        heroes.entry(update.hero_id).or_default().push(update);
    }
    heroes
}
