//! Hears updates.
//!
//! The driver of the connection puts each message into a bounded [`Inbox`], undecoded, so that Redis is never 32 MB ahead of
//! this subscription (it would cut it). A task of the subscription's own makes a new connection when it is cut, or when this
//! process's own heartbeat does not come through it: then the listener hears a gap. Meanwhile the subscription counts as deaf.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use galley_protocol::UpdateBatch;
use redis::{PushInfo, PushKind, RedisResult, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;

use super::link::PATIENCE;
use super::names::Names;
use super::nodes::{Nodes, Wire};
use super::probe::{BEAT, DEAF_AFTER, Probe};
use super::publishers::Publishers;
use crate::inbox::{Inbox, Taken};
use crate::rarely::Rarely;
use crate::{Backoff, BusError, Heard, Subscription};

/// What comes on the channels.
type Messages = Inbox<(Channel, Bytes)>;

/// A channel to listen to.
#[derive(Clone, Copy, Debug)]
enum Channel {
    /// The updates of a shard.
    Updates(u16),
    /// The heartbeats.
    Probes,
}

/// One subscription.
pub(super) struct Ear {
    messages: Arc<Messages>,
    shards: usize,
    publishers: Publishers,
    burials: Interval,
    /// Comes after the gap that was just handed on.
    held: Option<UpdateBatch>,
    malformed: Rarely,
    _pump: AbortOnDropHandle<()>,
}

impl Ear {
    /// Subscribes; what is published after this returns is heard. `own` is the publisher of this process.
    pub(super) async fn open(nodes: Arc<Nodes>, names: Names, own: u64, deaf: Arc<AtomicUsize>) -> Result<Self, BusError> {
        let messages = Arc::new(Messages::default());
        let shards = names.shards().count();
        let listening = Listening { nodes, names, own, messages: Arc::clone(&messages) };
        let line = listening.open().await?;
        let pump = AbortOnDropHandle::new(tokio::spawn(pump(listening, deaf, line)));
        let mut burials = tokio::time::interval(BEAT);
        burials.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let publishers = Publishers::new(shards);
        Ok(Self { messages, shards, publishers, burials, held: None, malformed: Rarely::default(), _pump: pump })
    }

    fn hear(&mut self, channel: Channel, message: &Bytes) -> Option<Heard> {
        match channel {
            Channel::Updates(shard) => self.hear_updates(shard, message),
            Channel::Probes => match Probe::decode(message, self.shards) {
                Some(probe) => self.publishers.beat(probe, Instant::now()).then_some(Heard::Gap),
                None => self.skip("not a heartbeat"),
            },
        }
    }

    fn hear_updates(&mut self, shard: u16, message: &Bytes) -> Option<Heard> {
        let batch = match UpdateBatch::decode(message) {
            Ok(batch) => batch,
            Err(error) => return self.skip(&error.to_string()),
        };
        let hole = self.publishers.leave_a_hole(shard, &batch);
        let batch = (!batch.updates.is_empty()).then_some(batch);
        if hole {
            self.held = batch;
            return Some(Heard::Gap);
        }
        batch.map(Heard::Updates)
    }

    fn skip(&mut self, why: &str) -> Option<Heard> {
        metrics::counter!("galley_bus_malformed_total").increment(1);
        if let Some(more) = self.malformed.now() {
            tracing::warn!(why, more, "a message on a channel is skipped; `more` others since the last such line");
        }
        None
    }

    /// Whether a publisher is gone. While something waits to be heard, it may be its heartbeat.
    fn bury(&mut self) -> bool {
        self.messages.is_empty() && self.publishers.bury(Instant::now())
    }
}

#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Heard {
        if let Some(batch) = self.held.take() {
            return Heard::Updates(batch);
        }
        loop {
            let heard = tokio::select! {
                taken = self.messages.take() => match taken {
                    Taken::Gap => Some(Heard::Gap),
                    Taken::Item((channel, message)) => self.hear(channel, &message),
                },
                _ = self.burials.tick() => self.bury().then_some(Heard::Gap),
            };
            if let Some(heard) = heard {
                if heard == Heard::Gap {
                    metrics::counter!("galley_bus_gaps_total").increment(1);
                }
                return heard;
            }
        }
    }
}

/// What it takes to listen.
struct Listening {
    nodes: Arc<Nodes>,
    names: Names,
    own: u64,
    messages: Arc<Messages>,
}

/// A connection that is subscribed to every channel.
struct Line {
    _wire: Wire,
    cut: Arc<Notify>,
    /// When this process heard itself last.
    beat: Arc<Mutex<Instant>>,
}

impl Listening {
    async fn open(&self) -> RedisResult<Line> {
        let (cut, beat) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Instant::now())));
        let updates = self.names.shards().map(|shard| (Channel::Updates(shard), self.names.channel(shard)));
        let channels: Vec<(Channel, String)> = updates.chain([(Channel::Probes, self.names.probes())]).collect();
        let listener = Listener {
            own: self.own,
            shards: self.names.shards().count(),
            messages: Arc::clone(&self.messages),
            channels: channels.clone(),
            cut: Arc::clone(&cut),
            beat: Arc::clone(&beat),
        };
        let on_push = move |push: PushInfo| {
            listener.take(push);
            Ok::<_, ()>(())
        };
        let mut wire = self.nodes.open_listening(PATIENCE, on_push).await?;
        for (_, channel) in &channels {
            wire.listen_to(channel).await?;
        }
        set(&beat, Instant::now());
        Ok(Line { _wire: wire, cut, beat })
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
    own: u64,
    shards: usize,
    messages: Arc<Messages>,
    channels: Vec<(Channel, String)>,
    cut: Arc<Notify>,
    beat: Arc<Mutex<Instant>>,
}

impl Listener {
    fn take(&self, PushInfo { kind, data }: PushInfo) {
        if kind == PushKind::Message || kind == PushKind::SMessage {
            let Ok([Value::BulkString(name), Value::BulkString(message)]) = <[Value; 2]>::try_from(data) else { return };
            let Some((channel, _)) = self.channels.iter().find(|(_, known)| known.as_bytes() == name) else { return };
            if matches!(channel, Channel::Probes)
                && Probe::decode(&message, self.shards).is_some_and(|probe| probe.publisher == self.own)
            {
                set(&self.beat, Instant::now());
            }
            self.messages.put(message.len(), (*channel, message.into()));
        } else if kind == PushKind::Disconnection || kind == PushKind::SUnsubscribe || kind == PushKind::Unsubscribe {
            // A cluster says SUNSUBSCRIBE when a slot moves away.
            self.cut.notify_one();
        }
    }
}

fn set(beat: &Mutex<Instant>, now: Instant) {
    *beat.lock().expect("nothing panics while it holds this lock") = now;
}

/// Counts a deaf subscription as long as it lives.
struct Deaf {
    count: Arc<AtomicUsize>,
    since: Instant,
}

impl Deaf {
    fn count(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        metrics::gauge!("galley_bus_deaf").increment(1);
        Self { count: Arc::clone(count), since: Instant::now() }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("galley_bus_deaf").decrement(1);
        metrics::histogram!("galley_bus_deaf_seconds").record(self.since.elapsed());
    }
}

async fn pump(listening: Listening, deaf: Arc<AtomicUsize>, mut line: Line) {
    loop {
        line.until_cut().await;
        let deaf = Deaf::count(&deaf);
        tracing::debug!("a subscription hears nothing and is made again");
        let mut backoff = Backoff::AWAY;
        line = loop {
            backoff.wait().await;
            if let Ok(line) = listening.open().await {
                break line;
            }
        };
        listening.messages.gap();
        drop(deaf);
    }
}
