//! The last step of a recorded trace: an update is handed to the sockets of its hero.

use std::time::SystemTime;

use galley_telemetry::{Span, SpanKind};

use super::Notice;

/// Records the recorded ones among these updates of one hero, which made this many frames. A
/// gateway without a socket of the hero records nothing.
pub fn trace_pushes(updates: &[Notice], frames: usize, began: SystemTime) {
    let sockets = i64::try_from(frames / updates.len().max(1)).unwrap_or(i64::MAX);
    if sockets == 0 {
        return;
    }
    for update in updates {
        let Some(cause) = update.trace.as_deref() else { continue };
        let mut step = Span::begin("push", SpanKind::Producer, cause, began);
        step.set("galley.order.id", update.order_id.get());
        step.set("galley.order.version", i64::from(update.version.0));
        step.set("galley.order.status", update.status.map_or("deleted", |status| status.as_str()));
        step.set("galley.sockets", sockets);
    }
}
