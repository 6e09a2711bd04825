//! The dispatch queue, as one worker reads it: one reader per shard, their entries in one queue.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use galley_protocol::{IncarnationId, Update};
use redis::Value;

use super::nodes::Nodes;
use super::redis_names::{GROUP, RedisNames};
use super::redis_publisher::RedisPublisher;
use super::stream_reader::StreamReader;
use crate::timing::Timing;
use crate::{BusError, Entry, Queue};

type StreamRead = BoxFuture<'static, (StreamReader, Result<Vec<Entry>, BusError>)>;

/// The queue of one worker. Reads in progress are kept here, not in the call that waits for them,
/// so that a dropped call loses no entry.
pub(super) struct RedisQueue {
    publisher: Arc<RedisPublisher>,
    /// The readers without a read in progress.
    idle: Vec<StreamReader>,
    reading: FuturesUnordered<StreamRead>,
    /// Entries that were read and not returned yet, at most one read of each shard.
    ready: VecDeque<Entry>,
}

impl RedisQueue {
    /// Creates the consumer groups of most shards at least, where they are missing, and a reader
    /// for each shard.
    pub(super) async fn open(
        nodes: &Arc<Nodes>,
        names: &RedisNames,
        timing: Timing,
        publisher: Arc<RedisPublisher>,
        consumer: IncarnationId,
    ) -> Result<Self, BusError> {
        let making =
            join_all(names.shards().map(|shard| make_group(&publisher, names, shard))).await;
        let made = making.iter().filter(|made| made.is_ok()).count();
        // The readers of the other shards create their groups later.
        if !names.suffice(made) {
            making.into_iter().collect::<Result<(), _>>()?;
        }
        let reader = |shard| StreamReader::new(Arc::clone(nodes), names, shard, consumer, timing);
        let idle = names.shards().map(reader).collect();
        Ok(Self { publisher, idle, reading: FuturesUnordered::new(), ready: VecDeque::new() })
    }

    fn harvest(
        &mut self,
        (reader, entries): (StreamReader, Result<Vec<Entry>, BusError>),
    ) -> Result<(), BusError> {
        self.idle.push(reader);
        self.ready.extend(entries?);
        Ok(())
    }
}

#[async_trait]
impl Queue for RedisQueue {
    async fn next(&mut self, limit: usize) -> Result<Vec<Entry>, BusError> {
        if self.ready.is_empty() {
            self.reading.extend(self.idle.drain(..).map(|reader| reader.read(limit).boxed()));
            // Waits for the first read, then takes those that ended at the same time.
            if let Some(read) = self.reading.next().await {
                self.harvest(read)?;
            }
            while let Some(Some(read)) = self.reading.next().now_or_never() {
                self.harvest(read)?;
            }
        }
        let count = limit.min(self.ready.len());
        Ok(self.ready.drain(..count).collect())
    }

    async fn settle(&mut self, entries: &[Entry], updates: &[Update]) -> Result<(), BusError> {
        // A token is the shard, a slash and the id in the stream.
        let place = |entry: &'_ Entry| -> Option<(u16, usize)> {
            let (shard, _) = entry.token.split_once('/')?;
            Some((shard.parse().ok()?, shard.len() + 1))
        };
        let settled: Vec<(u16, &str)> = entries
            .iter()
            .filter_map(|entry| place(entry).map(|(shard, at)| (shard, &entry.token[at..])))
            .collect();
        self.publisher.settle(&settled, updates).await
    }
}

async fn make_group(
    publisher: &RedisPublisher,
    names: &RedisNames,
    shard: u16,
) -> Result<(), BusError> {
    let mut pipeline = redis::pipe();
    pipeline
        .cmd("XGROUP")
        .arg("CREATE")
        .arg(names.stream(shard))
        .arg(GROUP)
        .arg("0")
        .arg("MKSTREAM");
    let made = publisher.link(shard).query::<Value>(&pipeline).await.map(drop);
    // BUSYGROUP: the group exists already.
    made.or_else(|error| if error.to_string().contains("BUSYGROUP") { Ok(()) } else { Err(error) })
}
