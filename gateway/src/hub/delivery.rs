//! What one hero's sockets are told at once.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use galley_protocol::{HeroId, Update};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::framing::put_frame;

/// The most updates in one delivery: what a socket's connection gets in one write, and what a slow one holds for a single frame.
const MAX_UPDATES: usize = 64;

/// Some updates of one hero.
#[derive(Debug)]
pub struct Delivery {
    /// One at least; their frames lie in the memory of `frames`.
    pub updates: Vec<Update>,
    /// Their WebSocket frames, one behind the other.
    pub frames: Bytes,
}

impl Delivery {
    /// The deliveries of these updates, in their order. What came from the bus shares the memory of all that was published at once,
    /// so that it is copied here.
    pub fn all(updates: &[&Update]) -> impl Iterator<Item = Self> {
        updates.chunks(MAX_UPDATES).map(|updates| {
            let mut frames = BytesMut::new();
            let ends: Vec<_> = updates
                .iter()
                .map(|update| {
                    put_frame(&mut frames, OpCode::Data(Data::Text), &update.frame);
                    frames.len()
                })
                .collect();
            let frames = frames.freeze();
            let updates = updates.iter().zip(ends).map(|(update, end)| {
                let frame = frames.slice(end - update.frame.len()..end);
                Update { frame, ..(*update).clone() }
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
