//! Hears updates, each shard on a connection of its own to the node that holds it.
//!
//! The driver of a connection puts each message into a bounded [`Inbox`], undecoded, so that Redis is never 32 MB ahead of this
//! subscription (it would cut it). A task for each shard makes a new connection when it is cut, or when this process's own
//! heartbeat does not come through it: then the listener hears a gap. Meanwhile the subscription counts as deaf. A node that is
//! silent makes its own shards deaf and no others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use galley_protocol::{PublisherId, UpdateBatch};
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, RedisResult, Value};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::link::PATIENCE;
use super::names::Names;
use super::nodes::Nodes;
use super::publisher::Publisher;
use crate::hearing::{Decode, Hearing, Message};
use crate::heartbeat::Heartbeat;
use crate::inbox::Inbox;
use crate::rarely::Rarely;
use crate::{Backoff, BusError};

/// A shard on which this process's own heartbeat is not heard for so long is deaf.
const DEAF_AFTER: Duration = Duration::from_secs(3);

/// Messages on the channels of shards.
type Messages = Inbox<(u16, Bytes)>;

/// The subscriptions of a bus.
#[derive(Debug, Default)]
pub(super) struct Ears {
    open: AtomicUsize,
    deaf: AtomicUsize,
}

impl Ears {
    /// Returns true if a shard of a subscription hears nothing at the moment.
    pub(super) fn are_deaf(&self) -> bool {
        self.deaf.load(Ordering::Relaxed) > 0
    }

    /// Returns true if there is a subscription.
    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }
}

/// Decodes what one subscription hears, and keeps its connections.
pub(super) struct Ear {
    ears: Arc<Ears>,
    malformed: Rarely,
    _pumps: Vec<AbortOnDropHandle<()>>,
}

impl Ear {
    /// Subscribes to most shards at least; what is published on them after this returns is heard. The publisher is that of this
    /// process.
    pub(super) async fn open(
        nodes: &Arc<Nodes>,
        names: &Names,
        publisher: &Publisher,
        ears: Arc<Ears>,
    ) -> Result<Hearing<Self>, BusError> {
        let messages = Arc::new(Messages::default());
        let opening = names.shards().map(async |shard| {
            let (nodes, messages) = (Arc::clone(nodes), Arc::clone(&messages));
            let (own, moves) = (publisher.id(), publisher.link(shard).moves());
            let listening = Listening { nodes, names: names.clone(), shard, own, messages, moves };
            let line = listening.open().await;
            (listening, line)
        });
        let opened = join_all(opening).await;
        let shards = opened.len();
        if !names.suffice(opened.iter().filter(|(_, line)| line.is_ok()).count()) {
            let failure = opened.into_iter().find_map(|(_, line)| line.err());
            return Err(failure.expect("some have failed").into());
        }
        let pumps = opened
            .into_iter()
            .map(|(listening, line)| AbortOnDropHandle::new(tokio::spawn(pump(listening, Arc::clone(&ears), line.ok()))));
        let pumps = pumps.collect();
        ears.open.fetch_add(1, Ordering::Relaxed);
        Ok(Hearing::new(messages, shards, Self { ears, malformed: Rarely::default(), _pumps: pumps }))
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.ears.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Decode for Ear {
    type Item = (u16, Bytes);

    fn decode(&mut self, (shard, message): (u16, Bytes)) -> Option<(u16, Message)> {
        if let Some(beat) = Heartbeat::decode(&message) {
            return Some((shard, Message::Heartbeat(beat)));
        }
        match UpdateBatch::decode(&message) {
            Ok(batch) => Some((shard, Message::Updates(batch))),
            Err(error) => {
                metrics::counter!("galley_bus_malformed_total").increment(1);
                if let Some(more) = self.malformed.now() {
                    tracing::warn!(%error, more, "a message on a channel is skipped; `more` others since the last such line");
                }
                None
            }
        }
    }
}

/// Everything that it takes to listen to one shard.
struct Listening {
    nodes: Arc<Nodes>,
    names: Names,
    shard: u16,
    own: PublisherId,
    messages: Arc<Messages>,
    /// Changes when the shard turned out to be elsewhere.
    moves: watch::Receiver<()>,
}

/// A connection that is subscribed to the channel of a shard.
struct Line {
    _connection: MultiplexedConnection,
    cut: Arc<Notify>,
    /// When this process heard itself last.
    beat: Arc<Mutex<Instant>>,
}

impl Listening {
    async fn open(&self) -> RedisResult<Line> {
        let (cut, beat) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Instant::now())));
        let listener = Listener {
            own: self.own,
            shard: self.shard,
            messages: Arc::clone(&self.messages),
            cut: Arc::clone(&cut),
            beat: Arc::clone(&beat),
        };
        let on_push = move |push: PushInfo| {
            listener.take(push);
            Ok::<_, ()>(())
        };
        let slot = Names::slot(self.shard);
        let mut connection = self.nodes.connect_listening(slot, PATIENCE, on_push).await?;
        let channel = self.names.channel(self.shard);
        // Confirmed by one message for one channel, which is the answer.
        redis::cmd(self.names.subscribe()).arg(channel).exec_async(&mut connection).await?;
        set(&beat, Instant::now());
        Ok(Line { _connection: connection, cut, beat })
    }
}

impl Line {
    /// Returns when the connection hears nothing any more.
    async fn until_cut(&self) {
        let until_silent = async {
            loop {
                let silent_at = *self.beat.lock().expect("nothing panics while it holds this lock") + DEAF_AFTER;
                if silent_at <= Instant::now() {
                    return;
                }
                tokio::time::sleep_until(silent_at).await;
            }
        };
        tokio::select! {
            () = self.cut.notified() => {}
            () = until_silent => {}
        }
    }
}

/// Called by the driver of the connection; must never wait.
struct Listener {
    own: PublisherId,
    shard: u16,
    messages: Arc<Messages>,
    cut: Arc<Notify>,
    beat: Arc<Mutex<Instant>>,
}

impl Listener {
    fn take(&self, PushInfo { kind, data }: PushInfo) {
        if kind == PushKind::Message || kind == PushKind::SMessage {
            let Ok([_, Value::BulkString(message)]) = <[Value; 2]>::try_from(data) else { return };
            if Heartbeat::decode(&message).is_some_and(|beat| beat.publisher == self.own) {
                set(&self.beat, Instant::now());
            }
            self.messages.put(message.len(), (self.shard, message.into()));
        } else if kind == PushKind::Disconnection || kind == PushKind::SUnsubscribe || kind == PushKind::Unsubscribe {
            // A cluster says SUNSUBSCRIBE when a slot moves away.
            self.cut.notify_one();
        }
    }
}

fn set(beat: &Mutex<Instant>, now: Instant) {
    *beat.lock().expect("nothing panics while it holds this lock") = now;
}

/// Counts a deaf shard as long as it lives.
struct Deaf {
    ears: Arc<Ears>,
    since: Instant,
}

impl Deaf {
    fn count(ears: &Arc<Ears>) -> Self {
        ears.deaf.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!("galley_bus_deaf").increment(1);
        Self { ears: Arc::clone(ears), since: Instant::now() }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.ears.deaf.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("galley_bus_deaf").decrement(1);
        metrics::histogram!("galley_bus_deaf_seconds").record(self.since.elapsed());
    }
}

async fn pump(mut listening: Listening, ears: Arc<Ears>, mut line: Option<Line>) {
    loop {
        if let Some(line) = &line {
            tokio::select! {
                () = line.until_cut() => {}
                Ok(()) = listening.moves.changed() => {}
            }
        }
        let deaf = Deaf::count(&ears);
        tracing::debug!(shard = listening.shard, "a subscription hears nothing and is made again");
        let mut backoff = Backoff::AWAY;
        line = loop {
            backoff.wait().await;
            listening.moves.mark_unchanged();
            if let Ok(line) = listening.open().await {
                break Some(line);
            }
        };
        listening.messages.gap();
        drop(deaf);
    }
}
