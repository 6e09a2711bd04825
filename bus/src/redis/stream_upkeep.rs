//! Upkeep of a stream, by every worker every few seconds.

use std::time::Duration;

use galley_protocol::IncarnationId;
use redis::streams::{StreamInfoConsumersReply, StreamInfoGroupsReply, StreamPendingReply};
use redis::{RedisResult, Value};

use super::command_connection::CommandConnection;
use super::node_connection::NodeConnection;
use super::redis_names::GROUP;
use super::reply::{self, RawEntry};
use crate::{BusError, QueueBacklog};

/// Idle time after which a consumer without entries is considered a dead worker's.
const SILENT_AFTER: Duration = Duration::from_mins(1);

/// Creates the consumer group, and the stream if it is missing. The group reads from the first
/// entry. An existing group stays as it is.
pub(super) async fn create_group(wire: &mut NodeConnection, stream: &str) -> RedisResult<()> {
    let mut command = redis::cmd("XGROUP");
    command.arg("CREATE").arg(stream).arg(GROUP).arg("0").arg("MKSTREAM");
    match command.exec_async(wire).await {
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
        outcome => outcome,
    }
}

/// Claims entries that have been pending for at least `idle`.
pub(super) async fn reclaim(
    wire: &mut NodeConnection,
    stream: &str,
    consumer: IncarnationId,
    idle: Duration,
    limit: usize,
) -> RedisResult<Vec<RawEntry>> {
    // Always from the first pending entry (`0-0`), which is the oldest.
    let mut command = redis::cmd("XAUTOCLAIM");
    command
        .arg(stream)
        .arg(GROUP)
        .arg(consumer.get())
        .arg(idle.as_millis())
        .arg("0-0")
        .arg("COUNT")
        .arg(limit);
    let answer: Value = command.query_async(wire).await?;
    let entries = reply::reclaimed(&answer)?;
    metrics::counter!(galley_telemetry::QUEUE_RECLAIMED).increment(entries.len() as u64);
    Ok(entries)
}

/// Counts the entries of a stream. Without a group nobody can say how many wait.
pub(super) async fn backlog(
    link: &CommandConnection,
    stream: String,
) -> Result<QueueBacklog, BusError> {
    let mut ask = redis::pipe();
    ask.cmd("XINFO").arg("GROUPS").arg(stream);
    let (groups,): (StreamInfoGroupsReply,) = link.query(&ask).await?;
    let group = groups.groups.into_iter().find(|group| group.name == GROUP);
    let count = |entries: usize| entries as u64;
    Ok(QueueBacklog {
        waiting: group.as_ref().and_then(|group| group.lag).map(count),
        delivered: group.map(|group| count(group.pending)),
    })
}

/// Trims acknowledged entries and deletes the consumers of dead workers. A failure is harmless,
/// because it is tried again in a few seconds.
pub(super) async fn tidy(wire: &mut NodeConnection, stream: &str) {
    if let Err(error) = trim(wire, stream).await {
        tracing::debug!(stream, %error, "the stream was not trimmed");
    }
    if let Err(error) = forget_consumers(wire, stream).await {
        tracing::debug!(stream, %error, "dead consumers were not deleted");
    }
}

/// Trims below the oldest pending entry and the last delivered one. The order of the two queries
/// matters: an entry up to the last delivered one that is not pending afterwards has been
/// acknowledged.
async fn trim(wire: &mut NodeConnection, stream: &str) -> RedisResult<()> {
    let groups: StreamInfoGroupsReply =
        redis::cmd("XINFO").arg("GROUPS").arg(stream).query_async(wire).await?;
    let Some(group) = groups.groups.into_iter().find(|group| group.name == GROUP) else {
        return Ok(());
    };
    for (state, entries) in [("waiting", group.lag), ("delivered", Some(group.pending))] {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        metrics::gauge!(galley_telemetry::QUEUE_ENTRIES, "state" => state, "stream" => stream.to_owned())
            .set(entries.map_or(f64::NAN, |entries| entries as f64));
    }
    let pending: StreamPendingReply =
        redis::cmd("XPENDING").arg(stream).arg(GROUP).query_async(wire).await?;
    let delivered = group.last_delivered_id;
    let least = match pending {
        StreamPendingReply::Data(data) if place(&data.start_id) < place(&delivered) => {
            data.start_id
        }
        StreamPendingReply::Data(_) | StreamPendingReply::Empty => delivered,
        _ => return Ok(()),
    };
    redis::cmd("XTRIM").arg(stream).arg("MINID").arg(least).exec_async(wire).await
}

async fn forget_consumers(wire: &mut NodeConnection, stream: &str) -> RedisResult<()> {
    let known: StreamInfoConsumersReply =
        redis::cmd("XINFO").arg("CONSUMERS").arg(stream).arg(GROUP).query_async(wire).await?;
    for consumer in known.consumers {
        if consumer.pending == 0 && consumer.idle as u128 > SILENT_AFTER.as_millis() {
            redis::cmd("XGROUP")
                .arg("DELCONSUMER")
                .arg(stream)
                .arg(GROUP)
                .arg(consumer.name)
                .exec_async(wire)
                .await?;
        }
    }
    Ok(())
}

/// Returns the sort key of an id in a stream: milliseconds, then a number. A malformed id sorts
/// first, so that nothing is trimmed.
fn place(id: &str) -> (u64, u64) {
    let (millis, number) = id.split_once('-').unwrap_or((id, "0"));
    (millis.parse().unwrap_or(0), number.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn ids_are_ordered_as_numbers() {
        assert!(place("999-7") < place("1000-0"));
        assert!(place("1000-9") < place("1000-10"));
        assert_eq!(place("0-0"), (0, 0));
    }
}
