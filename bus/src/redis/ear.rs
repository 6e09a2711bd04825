//! Hears updates.
//!
//! The driver of the connection puts each message into a bounded [`Inbox`], undecoded, so that Redis is never 32 MB ahead of
//! this subscription (it would cut it). A task of the subscription's own proves every 2 s that the connection lives, and makes a new
//! one when it is cut: then the listener hears a gap. While cut, the subscription counts as deaf.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use galley_protocol::UpdateBatch;
use redis::{PushInfo, PushKind, RedisResult, Value};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::link::PATIENCE;
use super::names::Names;
use super::nodes::{Nodes, Wire};
use super::numbers::Numbers;
use crate::inbox::{Inbox, Taken};
use crate::rarely::Rarely;
use crate::{Backoff, BusError, Heard, Subscription};

/// How often the connection is asked whether it lives.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// Messages with the shard of their channel.
type Messages = Inbox<(u16, Bytes)>;

/// One subscription.
pub(super) struct Ear {
    messages: Arc<Messages>,
    numbers: Numbers,
    /// Comes after the gap that was just handed on.
    held: Option<UpdateBatch>,
    malformed: Rarely,
    _pump: AbortOnDropHandle<()>,
}

impl Ear {
    /// Subscribes; what is published after this returns is heard.
    pub(super) async fn open(nodes: Arc<Nodes>, names: Names, deaf: Arc<AtomicUsize>) -> Result<Self, BusError> {
        let messages = Arc::new(Messages::default());
        let line = Line::open(&nodes, &names, &messages).await?;
        let pump = tokio::spawn(pump(nodes, names, Arc::clone(&messages), deaf, line));
        let pump = AbortOnDropHandle::new(pump);
        Ok(Self { messages, numbers: Numbers::default(), held: None, malformed: Rarely::default(), _pump: pump })
    }

    fn hear(&mut self, shard: u16, message: &Bytes) -> Option<Heard> {
        let batch = match UpdateBatch::decode(message) {
            Ok(batch) => batch,
            Err(error) => {
                metrics::counter!("galley_bus_malformed_total").increment(1);
                if let Some(silent) = self.malformed.now() {
                    tracing::warn!(%error, silent, "a message on the update channel is skipped");
                }
                return None;
            }
        };
        let hole = self.numbers.leave_a_hole(shard, &batch);
        let batch = (!batch.updates.is_empty()).then_some(batch);
        if hole {
            self.held = batch;
            return Some(Heard::Gap);
        }
        batch.map(Heard::Updates)
    }
}

#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Heard {
        if let Some(batch) = self.held.take() {
            return Heard::Updates(batch);
        }
        loop {
            let heard = match self.messages.take().await {
                Taken::Gap => Some(Heard::Gap),
                Taken::Item((shard, message)) => self.hear(shard, &message),
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

/// A connection that is subscribed to every channel.
struct Line {
    wire: Wire,
    cut: Arc<Notify>,
}

impl Line {
    async fn open(nodes: &Nodes, names: &Names, messages: &Arc<Messages>) -> RedisResult<Self> {
        let cut = Arc::new(Notify::new());
        let channels: Vec<(u16, String)> = names.shards().map(|shard| (shard, names.channel(shard))).collect();
        let on_push = {
            let (cut, messages, channels) = (Arc::clone(&cut), Arc::clone(messages), channels.clone());
            move |push: PushInfo| {
                take_push(push, &channels, &messages, &cut);
                Ok::<_, ()>(())
            }
        };
        let mut wire = nodes.open_listening(PATIENCE, on_push).await?;
        for (_, channel) in &channels {
            wire.listen_to(channel).await?;
        }
        Ok(Self { wire, cut })
    }

    /// Returns when the connection hears nothing any more.
    async fn until_cut(&mut self) {
        let Self { wire, cut } = self;
        let proves_alive = async {
            loop {
                tokio::time::sleep(PROBE_EVERY).await;
                if redis::cmd("PING").exec_async(wire).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = cut.notified() => {}
            () = proves_alive => {}
        }
    }
}

/// Called by the driver of the connection; must never wait.
fn take_push(PushInfo { kind, data }: PushInfo, channels: &[(u16, String)], messages: &Messages, cut: &Notify) {
    if kind == PushKind::Message || kind == PushKind::SMessage {
        let Ok([Value::BulkString(channel), Value::BulkString(message)]) = <[Value; 2]>::try_from(data) else { return };
        if let Some((shard, _)) = channels.iter().find(|(_, name)| name.as_bytes() == channel) {
            messages.put(message.len(), (*shard, message.into()));
        }
    } else if kind == PushKind::Disconnection || kind == PushKind::SUnsubscribe || kind == PushKind::Unsubscribe {
        // A cluster says SUNSUBSCRIBE when a slot moves away.
        cut.notify_one();
    }
}

/// Counts a deaf subscription as long as it lives.
struct Deaf(Arc<AtomicUsize>);

impl Deaf {
    fn count(deaf: &Arc<AtomicUsize>) -> Self {
        deaf.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(deaf))
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn pump(nodes: Arc<Nodes>, names: Names, messages: Arc<Messages>, deaf: Arc<AtomicUsize>, mut line: Line) {
    loop {
        line.until_cut().await;
        let deaf = Deaf::count(&deaf);
        tracing::warn!("a subscription was cut and is made again");
        let mut backoff = Backoff::AWAY;
        line = loop {
            backoff.wait().await;
            if let Ok(line) = Line::open(&nodes, &names, &messages).await {
                break line;
            }
        };
        messages.gap();
        drop(deaf);
    }
}
