//! The state of the model of hearing: the database, the publishers, the gateway and a client.

use crate::hearing_model::{HearingModel, PUBLISHERS};

/// The whole state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HearingState {
    /// The number of the next transaction.
    pub next: u8,
    pub changes: Vec<ModelChange>,
    pub publishers: [ModelPublisher; PUBLISHERS],
    /// The gateway's knowledge of each publisher.
    pub subscribers: [ModelSubscriber; PUBLISHERS],
    /// The safe position of the gateway's last census.
    pub census: u8,
    pub client: ModelClient,
    pub silences: u8,
    pub deaths: u8,
}

/// A change; each has its own order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelChange {
    pub publisher: usize,
    pub stage: PublishStage,
    /// The gateway has sent it to the connected sockets.
    pub is_told: bool,
    /// The client knows it.
    pub is_known: bool,
}

/// The stage of a transaction, with its number once it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublishStage {
    Waiting,
    Stamped(u8),
    Committed(u8),
    Announced(u8),
}

/// A process that commits and publishes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelPublisher {
    pub life: PublisherLife,
    pub is_audible: bool,
    /// The number of its messages.
    pub said: u8,
    /// The safe position of the query in flight, if any.
    pub asked: Option<u8>,
    /// A safe position, and the changes that must be published before a heartbeat may carry it.
    pub marked: Option<(u8, Vec<usize>)>,
    /// The position in its heartbeats: all that it committed below is published.
    pub published: u8,
}

/// The life of a publisher: alive while it holds its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublisherLife {
    Unborn,
    Alive,
    Dead,
}

/// The gateway's knowledge of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelSubscriber {
    Unknown,
    Known {
        /// The last number received.
        heard: u8,
        /// All that it committed below was sent to the client.
        cursor: u8,
        /// A message of it was or may have been missed.
        has_hole: bool,
    },
    Dead {
        cursor: u8,
        /// The safe position at which its last transactions have ended.
        ends: u8,
    },
}

/// The client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelClient {
    Connected { may_leave: bool },
    Away { cursor: u8 },
}

impl HearingState {
    /// The initial state.
    pub fn new(model: &HearingModel) -> Self {
        let change = |at| ModelChange {
            publisher: at % model.publishers,
            stage: PublishStage::Waiting,
            is_told: false,
            is_known: false,
        };
        let publisher = |life| ModelPublisher {
            life,
            is_audible: true,
            said: 0,
            asked: None,
            marked: None,
            published: 1,
        };
        Self {
            next: 1,
            changes: (0..model.changes).map(change).collect(),
            publishers: [publisher(PublisherLife::Alive), publisher(PublisherLife::Unborn)],
            subscribers: [
                ModelSubscriber::Known { heard: 0, cursor: 1, has_hole: false },
                ModelSubscriber::Unknown,
            ],
            census: 1,
            client: ModelClient::Connected { may_leave: true },
            silences: model.silences,
            deaths: model.deaths,
        }
    }

    /// The lowest number of a transaction that has not ended.
    pub fn safe_position(&self) -> u8 {
        let open = self.changes.iter().filter_map(|change| match change.stage {
            PublishStage::Stamped(number) => Some(number),
            PublishStage::Waiting | PublishStage::Committed(_) | PublishStage::Announced(_) => None,
        });
        open.min().unwrap_or(self.next)
    }

    /// The position below which every change was sent.
    pub fn watermark(&self) -> u8 {
        let cursors = self.subscribers.iter().filter_map(|subscriber| match subscriber {
            ModelSubscriber::Known { cursor, .. } | ModelSubscriber::Dead { cursor, .. } => {
                Some(*cursor)
            }
            ModelSubscriber::Unknown => None,
        });
        cursors.chain([self.census]).min().expect("there is a census")
    }

    /// The publisher; `None` unless it lives.
    pub fn living(&mut self, publisher: usize) -> Option<&mut ModelPublisher> {
        Some(&mut self.publishers[publisher])
            .filter(|publisher| publisher.life == PublisherLife::Alive)
    }

    /// A transaction begins to write.
    pub fn stamp(&mut self, at: usize) -> Option<()> {
        let publisher = self.changes[at].publisher;
        self.living(publisher)?;
        if self.changes[at].stage != PublishStage::Waiting
            || self.subscribers[publisher] == ModelSubscriber::Unknown
        {
            return None;
        }
        self.changes[at].stage = PublishStage::Stamped(self.next);
        self.next += 1;
        Some(())
    }

    /// The changes that a publisher has begun and not published.
    pub fn pending_of(&self, publisher: usize) -> Vec<usize> {
        let is_pending = |change: &ModelChange| {
            matches!(change.stage, PublishStage::Stamped(_) | PublishStage::Committed(_))
        };
        let changes =
            self.changes.iter().enumerate().filter(|(_, change)| change.publisher == publisher);
        changes.filter(|(_, change)| is_pending(change)).map(|(at, _)| at).collect()
    }

    /// The gateway reads the living publishers and the safe position in one statement.
    pub fn census(&mut self) {
        let (safe, watermark) = (self.safe_position(), self.watermark());
        for (subscriber, publisher) in self.subscribers.iter_mut().zip(&self.publishers) {
            match (publisher.life, *subscriber) {
                (PublisherLife::Alive, ModelSubscriber::Unknown) => {
                    *subscriber =
                        ModelSubscriber::Known { heard: 0, cursor: watermark, has_hole: false }
                }
                (PublisherLife::Dead, ModelSubscriber::Known { cursor, .. }) => {
                    *subscriber = ModelSubscriber::Dead { cursor, ends: self.next }
                }
                (PublisherLife::Alive | PublisherLife::Dead | PublisherLife::Unborn, _) => {}
            }
        }
        self.census = safe;
    }

    /// Sends the visible changes from this number on to a connected client; a repair sends them to
    /// every socket.
    pub fn tell(&mut self, since: u8, is_repair: bool) {
        let is_connected = matches!(self.client, ModelClient::Connected { .. });
        for change in &mut self.changes {
            if let PublishStage::Committed(number) | PublishStage::Announced(number) = change.stage
                && number >= since
            {
                change.is_told |= is_repair;
                change.is_known |= is_connected;
            }
        }
    }

    /// Sends one change to a connected client.
    pub fn tell_one(&mut self, at: usize) {
        let is_connected = matches!(self.client, ModelClient::Connected { .. });
        self.changes[at].is_told = true;
        self.changes[at].is_known |= is_connected;
    }

    /// Lets publishers announce their positions once the pending changes are published.
    pub fn settle(&mut self) {
        let changes = &self.changes;
        for publisher in &mut self.publishers {
            if let Some((safe, pending)) = &mut publisher.marked {
                pending.retain(|at| !matches!(changes[*at].stage, PublishStage::Announced(_)));
                if pending.is_empty() {
                    publisher.published = (*safe).max(publisher.published);
                    publisher.marked = None;
                }
            }
        }
    }
}
