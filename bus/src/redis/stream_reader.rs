//! Reads the stream of one shard on its own connection.
//!
//! The queue owns the readers and their futures, so that a dropped wait loses no entry. At most one
//! command is in flight. A failure is reported at once, and the next read waits first, so that no
//! failure turns into a busy loop, least of all a missing group.

use std::sync::Arc;
use std::time::Duration;

use galley_protocol::IncarnationId;
use redis::{RedisError, RedisResult, Value};
use tokio::time::Instant;

use super::node_connection::NodeConnection;
use super::nodes::Nodes;
use super::redis_failure::ends_connection;
use super::redis_names::{GROUP, RedisNames};
use super::reply::{self, RawEntry};
use super::stream_upkeep;
use crate::log_limiter::LogLimiter;
use crate::timing::Timing;
use crate::{Backoff, BusError, Entry};

/// Time for which XREADGROUP blocks when there is no entry.
const BLOCK: Duration = Duration::from_secs(1);

/// The longest wait for a response; longer than [`BLOCK`].
const PATIENCE: Duration = Duration::from_secs(2);

/// A reader of one shard.
pub(super) struct StreamReader {
    shard: u16,
    stream: String,
    slot: u16,
    consumer: IncarnationId,
    nodes: Arc<Nodes>,
    timing: Timing,
    wire: Option<NodeConnection>,
    upkeep_at: Instant,
    /// The last read failed; the next one waits first.
    troubled: bool,
    backoff: Backoff,
    malformed: LogLimiter,
}

impl StreamReader {
    /// Creates a reader, which connects at its first read.
    pub(super) fn new(
        nodes: Arc<Nodes>,
        names: &RedisNames,
        shard: u16,
        consumer: IncarnationId,
        timing: Timing,
    ) -> Self {
        Self {
            shard,
            stream: names.stream(shard),
            slot: names.slot(shard),
            consumer,
            nodes,
            timing,
            wire: None,
            upkeep_at: Instant::now() + timing.upkeep_every,
            troubled: false,
            backoff: Backoff::AWAY,
            malformed: LogLimiter::new(),
        }
    }

    /// Reads once, and returns itself for the next read.
    pub(super) async fn read(mut self, limit: usize) -> (Self, Result<Vec<Entry>, BusError>) {
        if self.troubled {
            self.backoff.wait().await;
        }
        let entries = self.read_or_heal(limit).await;
        (self, entries.map_err(BusError::from))
    }

    async fn read_or_heal(&mut self, limit: usize) -> RedisResult<Vec<Entry>> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => self
                .nodes
                .connect(self.slot, PATIENCE)
                .await
                .inspect_err(|_| self.troubled = true)?,
        };
        let mut outcome = self.read_once(&mut wire, limit).await;
        self.troubled = outcome.is_err();
        if outcome.as_ref().is_err_and(is_group_missing) {
            metrics::counter!(galley_telemetry::QUEUE_GROUP_RECREATED).increment(1);
            tracing::warn!(stream = self.stream, "the consumer group is gone; creating it again");
            outcome =
                stream_upkeep::create_group(&mut wire, &self.stream).await.map(|()| Vec::new());
        } else if outcome.is_ok() {
            self.backoff.reset();
        }
        // Keeps the connection unless the error makes it useless.
        if !outcome.as_ref().is_err_and(ends_connection) {
            self.wire = Some(wire);
        }
        outcome
    }

    async fn read_once(
        &mut self,
        wire: &mut NodeConnection,
        limit: usize,
    ) -> RedisResult<Vec<Entry>> {
        if Instant::now() >= self.upkeep_at {
            let reclaimed = stream_upkeep::reclaim(
                wire,
                &self.stream,
                self.consumer,
                self.timing.reclaim_after,
                limit,
            )
            .await?;
            let entries = self.accept(wire, reclaimed).await?;
            // A full batch means that more entries may be reclaimable: the next read looks again.
            if entries.len() < limit {
                stream_upkeep::tidy(wire, &self.stream).await;
                self.upkeep_at = Instant::now() + self.timing.upkeep_every;
            }
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg(self.consumer.get()).arg("COUNT").arg(limit);
        // `>`: entries that were not delivered to any consumer.
        command.arg("BLOCK").arg(BLOCK.as_millis()).arg("STREAMS").arg(&self.stream).arg(">");
        let answer: Value = command.query_async(wire).await?;
        self.accept(wire, reply::read(&answer)?).await
    }

    /// Returns the well-formed entries and acknowledges the others.
    async fn accept(
        &mut self,
        wire: &mut NodeConnection,
        raw: Vec<RawEntry>,
    ) -> RedisResult<Vec<Entry>> {
        let (good, malformed): (Vec<_>, Vec<_>) =
            raw.into_iter().partition(|entry| entry.order_id.is_some());
        if !malformed.is_empty() {
            metrics::counter!(galley_telemetry::QUEUE_MALFORMED).increment(malformed.len() as u64);
            if let Some(more) = self.malformed.now() {
                tracing::warn!(
                    stream = self.stream,
                    id = malformed[0].id,
                    more,
                    "a malformed entry is taken off the queue; `more` others since the last such line"
                );
            }
            let ids: Vec<&str> = malformed.iter().map(|entry| entry.id.as_str()).collect();
            redis::cmd("XACK").arg(&self.stream).arg(GROUP).arg(ids).exec_async(wire).await?;
        }
        let shard = self.shard;
        let entry = |raw: RawEntry| {
            let (token, trace) = (format!("{shard}/{}", raw.id), raw.trace);
            raw.order_id.map(|order_id| Entry { order_id, token, trace })
        };
        Ok(good.into_iter().filter_map(entry).collect())
    }
}

/// Returns true for NOGROUP, and for the error with which Redis 7.0 answers a reader whose stream
/// is deleted while it blocks.
fn is_group_missing(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOGROUP" | "UNBLOCKED"))
}
