//! What one hero's sockets are told at once.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use galley_protocol::{HeroId, Update};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::safe_cursor::SafeCursor;
use crate::framing::put_frame_of;

/// The most updates in one delivery: what a socket's connection gets in one write, and what a slow
/// one holds for a single frame.
const MAX_UPDATES: usize = 64;

/// An update on its way to sockets, with the cursor that its frame carries: that of the moment when
/// the hub got it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    update: Update,
    /// The cursor.
    pub mark: Arc<SafeCursor>,
}

impl Notice {
    /// An update from the bus.
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

/// Some updates of one hero.
#[derive(Debug)]
pub struct Delivery {
    /// One at least; their frames are whole, and lie in the memory of `frames`.
    pub updates: Vec<Notice>,
    /// Their WebSocket frames, one behind the other.
    pub frames: Bytes,
}

impl Delivery {
    /// The deliveries of these updates, in their order. What came from the bus shares the memory of
    /// all that was published at once, so that it is copied here.
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
            Self { updates: updates.collect(), frames: frames.clone() }
        })
    }

    /// Bytes of the texts, without the heads of their frames.
    pub fn bytes(&self) -> usize {
        self.updates.iter().map(|update| update.frame.len()).sum()
    }
}

/// The updates of each hero, in their order.
pub fn by_hero<'a>(updates: impl Iterator<Item = &'a Update>) -> HashMap<HeroId, Vec<&'a Update>> {
    let mut heroes = HashMap::<_, Vec<_>>::new();
    for update in updates {
        heroes.entry(update.hero_id).or_default().push(update);
    }
    heroes
}
