//! A subscription, the same for every bus: takes messages from an inbox and turns them into
//! updates, gaps and safe cursors.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use galley_protocol::{PublisherId, RepairCauses, ResumeCursor, UpdateBatch};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::heard_processes::HeardProcesses;
use crate::heartbeat::{BEAT, Heartbeat};
use crate::inbox::{Inbox, InboxItem};
use crate::publishers::{Gap, Publishers};
use crate::{HeardProcess, Subscription, SubscriptionEvent, UnheardPublisher};

/// A message of a publisher.
#[derive(Clone, Debug)]
pub(crate) enum BusMessage {
    /// Updates with their number.
    Updates(UpdateBatch),
    Heartbeat(Heartbeat),
    /// This publisher has changed heroes or meals.
    MenuChanged(PublisherId),
}

/// Decodes the items of an inbox.
pub(crate) trait Decode: Send {
    /// A message before decoding.
    type Item: Send;
    /// Decodes a message and its shard; `None` if it is malformed.
    fn decode(&mut self, item: Self::Item) -> Option<(u16, BusMessage)>;
}

/// A subscription with the state of every publisher.
pub(crate) struct TrackedSubscription<D: Decode> {
    inbox: Arc<Inbox<D::Item>>,
    decoder: D,
    publishers: Publishers,
    processes: HeardProcesses,
    /// The safe cursor that was returned last.
    published: Option<ResumeCursor>,
    ticks: Interval,
    /// Events that precede everything in the inbox: results of the last message and of the
    /// subscriber's calls.
    next: VecDeque<SubscriptionEvent>,
}

impl<D: Decode> TrackedSubscription<D> {
    /// Creates a subscription on a bus of `shards` shards.
    pub(crate) fn new(inbox: Arc<Inbox<D::Item>>, shards: usize, decoder: D) -> Self {
        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            inbox,
            decoder,
            publishers: Publishers::new(shards),
            processes: HeardProcesses::default(),
            published: None,
            ticks,
            next: VecDeque::new(),
        }
    }
}

#[async_trait]
impl<D: Decode> Subscription for TrackedSubscription<D> {
    async fn next(&mut self) -> SubscriptionEvent {
        loop {
            if let Some(heard) = self.next.pop_front() {
                return heard;
            }
            // Both branches are cancel safe.
            tokio::select! {
                taken = self.inbox.take() => match taken {
                    InboxItem::Item(item) => {
                        if let Some((shard, message)) = self.decoder.decode(item) {
                            self.receive(shard, message);
                        }
                    }
                    InboxItem::Gap => {
                        self.publishers.cut();
                        self.follow();
                    }
                },
                _ = self.ticks.tick() => self.judge(),
            }
        }
    }

    fn census(&mut self, living: &BTreeSet<PublisherId>, safe: ResumeCursor, next: i64) {
        self.publishers.census(living, safe, next, Instant::now());
        self.follow();
    }

    fn repairing(&mut self) {
        self.publishers.repairing();
    }

    fn repaired(&mut self, safe: ResumeCursor) {
        self.publishers.repaired(safe);
        self.follow();
    }

    fn unheard(&self) -> Vec<UnheardPublisher> {
        self.publishers.unheard()
    }

    fn processes(&mut self) -> Vec<HeardProcess> {
        self.processes.list(Instant::now())
    }

    fn gaps(&self) -> RepairCauses {
        self.publishers.gaps()
    }
}

impl<D: Decode> TrackedSubscription<D> {
    fn receive(&mut self, shard: u16, message: BusMessage) {
        let now = Instant::now();
        match message {
            BusMessage::Updates(batch) => {
                // A gap precedes the message that revealed it.
                self.publishers.updates(shard, batch.publisher, batch.number, now);
                self.follow();
                if !batch.updates.is_empty() {
                    self.next.push_back(SubscriptionEvent::Updates(batch));
                }
            }
            BusMessage::Heartbeat(beat) => {
                self.processes.hear(&beat, now);
                self.publishers.heartbeat(shard, &beat, now);
                self.follow();
            }
            BusMessage::MenuChanged(_) => self.next.push_back(SubscriptionEvent::MenuChanged),
        }
    }

    /// Queues the gap and the safe cursor that follow from the last message or call.
    fn follow(&mut self) {
        if let Some(Gap { since }) = self.publishers.take_gap() {
            metrics::counter!(galley_telemetry::BUS_GAPS).increment(1);
            self.next.push_back(SubscriptionEvent::Gap { since });
        }
        // Returned only if it has changed.
        let safe = self.publishers.safe();
        if let Some(safe) = safe
            && self.published.replace(safe) != Some(safe)
        {
            self.next.push_back(SubscriptionEvent::Safe(safe));
        }
    }

    /// Looks for silent publishers, unless messages wait in the inbox: the missing heartbeat may be
    /// among them.
    fn judge(&mut self) {
        if self.inbox.is_empty() {
            self.publishers.judge(Instant::now());
            self.follow();
        }
    }
}
