//! A connection that receives the messages of one shard.
//!
//! Its driver puts each message into a bounded [`Inbox`] without decoding it. It therefore keeps up
//! with Redis, which cuts a subscriber that is 32 MB behind. The connection counts as cut when the
//! server says so, or when it no longer receives this process's own heartbeat.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use galley_protocol::{MessageKeys, MessageOrigin, PublisherId};
use redis::{PushInfo, PushKind, RedisResult, Value};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::command_connection::PATIENCE;
use super::node_connection::NodeConnection;
use super::nodes::Nodes;
use super::redis_names::RedisNames;
use crate::heartbeat::Heartbeat;
use crate::inbox::Inbox;

/// Time without this process's own heartbeat after which a shard is deaf.
const DEAF_AFTER: Duration = Duration::from_secs(3);

/// Undecoded messages, each with its shard.
pub(super) type PushInbox = Inbox<(u16, Bytes)>;

/// Everything needed to subscribe to one shard.
pub(super) struct Listening {
    pub(super) nodes: Arc<Nodes>,
    pub(super) names: RedisNames,
    pub(super) shard: u16,
    /// The publisher of this process.
    pub(super) own: PublisherId,
    pub(super) keys: MessageKeys,
    pub(super) messages: Arc<PushInbox>,
    /// Changes when the shard may be on another server.
    pub(super) moves: watch::Receiver<()>,
}

/// A connection that is subscribed to the channel of a shard.
pub(super) struct PubSubConnection {
    _connection: NodeConnection,
    cut: Arc<Notify>,
    /// The moment of the last heartbeat of this process.
    beat: Arc<Mutex<Instant>>,
}

impl Listening {
    /// Subscribes to the shard. Everything published after this returns is received.
    pub(super) async fn open(&self) -> RedisResult<PubSubConnection> {
        let (cut, beat) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Instant::now())));
        let channel = self.names.channel(self.shard);
        let listener = PushReceiver {
            own: self.own,
            keys: self.keys.clone(),
            channel: channel.clone(),
            shard: self.shard,
            messages: Arc::clone(&self.messages),
            cut: Arc::clone(&cut),
            beat: Arc::clone(&beat),
        };
        let on_push = move |push: PushInfo| {
            listener.take(push);
            Ok::<_, ()>(())
        };
        let slot = self.names.slot(self.shard);
        let mut connection = self.nodes.connect_listening(slot, PATIENCE, on_push).await?;
        // One channel has one confirmation, which is the response to the command.
        redis::cmd(self.names.subscribe()).arg(channel).exec_async(&mut connection).await?;
        // The silence is measured from the subscription on.
        set(&beat, Instant::now());
        Ok(PubSubConnection { _connection: connection, cut, beat })
    }
}

impl PubSubConnection {
    /// Waits until the connection receives nothing any more.
    pub(super) async fn until_cut(&self) {
        let until_silent = async {
            loop {
                let silent_at = *self.beat.lock().expect("nothing panics while it holds this lock")
                    + DEAF_AFTER;
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

/// The receiver of pushed messages. The driver of the connection calls it, so it must never wait.
struct PushReceiver {
    own: PublisherId,
    keys: MessageKeys,
    channel: String,
    shard: u16,
    messages: Arc<PushInbox>,
    cut: Arc<Notify>,
    beat: Arc<Mutex<Instant>>,
}

impl PushReceiver {
    fn take(&self, PushInfo { kind, data }: PushInfo) {
        if kind == PushKind::Message || kind == PushKind::SMessage {
            let Ok([_, Value::BulkString(message)]) = <[Value; 2]>::try_from(data) else { return };
            if Heartbeat::decode(&message).is_some_and(|beat| beat.publisher == self.own)
                && self.keys.origin(&self.channel, &message) == MessageOrigin::Service
            {
                set(&self.beat, Instant::now());
            }
            self.messages.put(message.len(), (self.shard, message.into()));
        } else if kind == PushKind::Disconnection
            || kind == PushKind::SUnsubscribe
            || kind == PushKind::Unsubscribe
        {
            // A cluster sends SUNSUBSCRIBE when a slot moves to another node.
            self.cut.notify_one();
        }
    }
}

fn set(beat: &Mutex<Instant>, now: Instant) {
    *beat.lock().expect("nothing panics while it holds this lock") = now;
}
