//! Receives updates, each shard on its own connection to the node that holds it.
//!
//! One task per shard replaces a connection ([`PubSubConnection`]) that was cut; the subscriber
//! then receives a gap. Until then the shard is deaf: it receives nothing. A silent node affects
//! only its own shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use galley_protocol::{MessageKeys, MessageOrigin, UpdateBatch, UpdateError};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::nodes::Nodes;
use super::pubsub_connection::{Listening, PubSubConnection, PushInbox};
use super::redis_names::RedisNames;
use super::redis_publisher::RedisPublisher;
use super::tasks::Tasks;
use crate::heartbeat::Heartbeat;
use crate::log_limiter::LogLimiter;
use crate::menu_message::decode_menu_message;
use crate::tracked_subscription::{BusMessage, Decode, TrackedSubscription};
use crate::{Backoff, BusError};

/// The number of subscriptions of a bus, and of their deaf shards.
#[derive(Debug, Default)]
pub(super) struct RedisSubscriptions {
    open: AtomicUsize,
    deaf: AtomicUsize,
}

impl RedisSubscriptions {
    /// Returns true if a shard of a subscription is deaf at the moment.
    pub(super) fn are_deaf(&self) -> bool {
        self.deaf.load(Ordering::Relaxed) > 0
    }

    /// Returns true if there is a subscription.
    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }
}

/// Decodes the messages of one subscription, and owns the tasks that receive them.
pub(super) struct RedisSubscription {
    subscriptions: Arc<RedisSubscriptions>,
    keys: MessageKeys,
    /// The channel of each shard.
    channels: Vec<String>,
    malformed: LogLimiter,
    forged: LogLimiter,
    _pumps: Vec<AbortOnDropHandle<()>>,
}

impl RedisSubscription {
    /// Subscribes to most shards at least. Everything published on these after this returns is
    /// received. `publisher` is the publisher of this process.
    pub(super) async fn open(
        nodes: &Arc<Nodes>,
        names: &RedisNames,
        publisher: &RedisPublisher,
        subscriptions: Arc<RedisSubscriptions>,
        tasks: &Tasks,
    ) -> Result<TrackedSubscription<Self>, BusError> {
        let messages = Arc::new(PushInbox::default());
        let opening = names.shards().map(async |shard| {
            let (nodes, messages) = (Arc::clone(nodes), Arc::clone(&messages));
            let (own, keys) = (publisher.id(), publisher.keys().clone());
            let (names, moves) = (names.clone(), publisher.link(shard).moves());
            let listening = Listening { nodes, names, shard, own, keys, messages, moves };
            let line = listening.open().await;
            (listening, line)
        });
        let opened = join_all(opening).await;
        let shards = opened.len();
        if !names.suffice(opened.iter().filter(|(_, line)| line.is_ok()).count()) {
            let failure = opened.into_iter().find_map(|(_, line)| line.err());
            return Err(failure.expect("some have failed").into());
        }
        let pumps = opened.into_iter().map(|(listening, line)| {
            tasks.start("listener", pump(listening, Arc::clone(&subscriptions), line.ok()))
        });
        let pumps = pumps.collect();
        subscriptions.open.fetch_add(1, Ordering::Relaxed);
        Ok(TrackedSubscription::new(
            messages,
            shards,
            Self {
                subscriptions,
                keys: publisher.keys().clone(),
                channels: names.shards().map(|shard| names.channel(shard)).collect(),
                malformed: LogLimiter::new(),
                forged: LogLimiter::new(),
                _pumps: pumps,
            },
        ))
    }
}

impl Drop for RedisSubscription {
    fn drop(&mut self) {
        self.subscriptions.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Decode for RedisSubscription {
    type Item = (u16, Bytes);

    fn decode(&mut self, (shard, message): (u16, Bytes)) -> Option<(u16, BusMessage)> {
        let origin = self.keys.origin(self.channels.get(usize::from(shard))?, &message);
        if origin == MessageOrigin::Forged {
            return self.refuse(shard);
        }
        let decoded = self.decode_any(shard, &message)?;
        let publisher = match &decoded {
            BusMessage::Updates(batch) => batch.publisher,
            BusMessage::Heartbeat(beat) => beat.publisher,
            BusMessage::MenuChanged(publisher) => *publisher,
        };
        if origin == MessageOrigin::Service || self.keys.may_be_unsigned(publisher) {
            return Some((shard, decoded));
        }
        // The same heartbeat as a signed one, for processes of the version before.
        let is_copy = matches!(decoded, BusMessage::Heartbeat(_)) && self.keys.expect_unsigned();
        if is_copy { None } else { self.refuse(shard) }
    }
}

impl RedisSubscription {
    /// Counts a message that no process of this service sent. It counts as not received.
    fn refuse<T>(&self, shard: u16) -> Option<T> {
        metrics::counter!(galley_telemetry::BUS_FORGED).increment(1);
        if let Some(more) = self.forged.now() {
            tracing::warn!(
                shard,
                more,
                "a message on a channel is not signed by this service, and is dropped; `more` others since the last such line"
            );
        }
        None
    }

    fn decode_any(&self, shard: u16, message: &Bytes) -> Option<BusMessage> {
        if let Some(beat) = Heartbeat::decode(message) {
            return Some(BusMessage::Heartbeat(beat));
        }
        if let Some(publisher) = decode_menu_message(message) {
            return Some(BusMessage::MenuChanged(publisher));
        }
        match UpdateBatch::decode(message) {
            Ok(batch) => Some(BusMessage::Updates(batch)),
            Err(UpdateError::UnknownKind) => {
                tracing::debug!(shard, "a message of an unknown kind is passed over");
                None
            }
            Err(error) => {
                metrics::counter!(galley_telemetry::BUS_MALFORMED).increment(1);
                if let Some(more) = self.malformed.now() {
                    tracing::warn!(%error, more, "a message on a channel is skipped; `more` others since the last such line");
                }
                None
            }
        }
    }
}

/// Counts a deaf shard while it exists.
struct Deaf {
    subscriptions: Arc<RedisSubscriptions>,
    since: Instant,
}

impl Deaf {
    fn count(subscriptions: &Arc<RedisSubscriptions>) -> Self {
        subscriptions.deaf.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!(galley_telemetry::BUS_DEAF).increment(1);
        Self { subscriptions: Arc::clone(subscriptions), since: Instant::now() }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.subscriptions.deaf.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!(galley_telemetry::BUS_DEAF).decrement(1);
        metrics::histogram!(galley_telemetry::BUS_DEAF_SECONDS).record(self.since.elapsed());
    }
}

/// Keeps one shard connected. Begins with a connection, or with `None` if the first attempt failed.
async fn pump(
    mut listening: Listening,
    subscriptions: Arc<RedisSubscriptions>,
    mut line: Option<PubSubConnection>,
) {
    loop {
        if let Some(line) = &line {
            tokio::select! {
                () = line.until_cut() => {}
                Ok(()) = listening.moves.changed() => {}
            }
        }
        let deaf = Deaf::count(&subscriptions);
        tracing::debug!(
            shard = listening.shard,
            "a subscription receives nothing; subscribing again"
        );
        let mut backoff = Backoff::AWAY;
        line = loop {
            backoff.wait().await;
            // The new connection looks for the shard anyway.
            listening.moves.mark_unchanged();
            if let Ok(line) = listening.open().await {
                break Some(line);
            }
        };
        listening.messages.gap();
        drop(deaf);
    }
}
