//! The number of connected sockets and event streams by kind, for the metrics and for the report of
//! this gateway.

use std::sync::atomic::{AtomicU64, Ordering};

use galley_protocol::{GatewayReport, HeroId};

use crate::metrics;

#[derive(Debug, Default)]
pub struct SocketCounts {
    heroes: AtomicU64,
    staff: AtomicU64,
    event_streams: AtomicU64,
}

impl SocketCounts {
    /// Counts a socket or event stream of a hero, or of staff under `None`.
    pub fn join(&self, hero_id: Option<HeroId>) {
        let (count, kind) = self.of(hero_id);
        count.fetch_add(1, Ordering::Relaxed);
        ::metrics::gauge!(metrics::SOCKETS).increment(1);
        ::metrics::gauge!(metrics::SOCKETS_BY_KIND, "kind" => kind).increment(1);
    }

    pub fn leave(&self, hero_id: Option<HeroId>) {
        let (count, kind) = self.of(hero_id);
        count.fetch_sub(1, Ordering::Relaxed);
        ::metrics::gauge!(metrics::SOCKETS).decrement(1);
        ::metrics::gauge!(metrics::SOCKETS_BY_KIND, "kind" => kind).decrement(1);
    }

    /// Counts an event stream in addition.
    pub fn begin_stream(&self) {
        self.event_streams.fetch_add(1, Ordering::Relaxed);
        ::metrics::gauge!(metrics::EVENT_STREAMS).increment(1);
    }

    pub fn end_stream(&self) {
        self.event_streams.fetch_sub(1, Ordering::Relaxed);
        ::metrics::gauge!(metrics::EVENT_STREAMS).decrement(1);
    }

    /// Returns a report with these numbers alone.
    pub fn report(&self) -> GatewayReport {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        GatewayReport {
            hero_sockets: get(&self.heroes),
            staff_sockets: get(&self.staff),
            event_streams: get(&self.event_streams),
            ..GatewayReport::default()
        }
    }

    /// Returns the count of a kind, and its label in the metrics.
    const fn of(&self, hero_id: Option<HeroId>) -> (&AtomicU64, &'static str) {
        if hero_id.is_some() { (&self.heroes, "hero") } else { (&self.staff, "staff") }
    }
}
