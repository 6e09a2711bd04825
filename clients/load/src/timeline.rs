//! The timeline: all measurements, as a whole and second by second.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::measures::{Latency, Measures, millis_at};
use crate::message::Tick;

/// The usual length of a moment.
const MOMENT: Duration = Duration::from_secs(1);
/// Maximum moments (two hours). Later measurements count only in the whole.
const MAX_MOMENTS: usize = 7_200;

/// The measurements of a test by time.
#[derive(Debug)]
pub struct Timeline {
    pub whole: Measures,
    pub moments: Vec<Moment>,
    pub most_open: u64,
    /// Time from the start of the load until an order last became known to have ended.
    pub last_end: Duration,
    began: Instant,
    ends: Instant,
    current: Measures,
    open: Vec<u64>,
}

/// The figures of one second. A moment is longer if no tick came for more than a second.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// Its end, in seconds since the test began to open sockets.
    pub second: u64,
    pub open: u64,
    pub placed: u64,
    pub acked: u64,
    pub ended: u64,
    pub frames: u64,
    /// Sockets that this program cut.
    pub dropped: u64,
    pub errors: u64,
    pub ack_p50_ms: Option<f64>,
    pub ack_p99_ms: Option<f64>,
    /// 99th percentile of the time from a change to its frame, in milliseconds.
    pub push_p99_ms: Option<f64>,
}

impl Moment {
    /// Returns this moment and the one after it as one. A percentile is the higher one of both.
    pub fn merged_with(self, later: &Self) -> Self {
        let higher =
            |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::max);
        Self {
            second: later.second,
            open: later.open,
            placed: self.placed + later.placed,
            acked: self.acked + later.acked,
            ended: self.ended + later.ended,
            frames: self.frames + later.frames,
            dropped: self.dropped + later.dropped,
            errors: self.errors + later.errors,
            ack_p50_ms: higher(self.ack_p50_ms, later.ack_p50_ms),
            ack_p99_ms: higher(self.ack_p99_ms, later.ack_p99_ms),
            push_p99_ms: higher(self.push_p99_ms, later.push_p99_ms),
        }
    }
}

impl Timeline {
    pub fn begin(engines: usize) -> Self {
        let now = Instant::now();
        Self {
            whole: Measures::default(),
            moments: Vec::new(),
            most_open: 0,
            last_end: Duration::ZERO,
            began: now,
            ends: now + MOMENT,
            current: Measures::default(),
            open: vec![0; engines],
        }
    }

    /// Adds the tick of an engine. Returns the measurements of the previous second if this tick is
    /// the first after it.
    pub fn take(&mut self, engine: usize, tick: &Tick) -> Option<Measures> {
        let now = Instant::now();
        let complete = (now >= self.ends).then(|| self.close());
        while now >= self.ends {
            self.ends += MOMENT;
        }
        self.open[engine] = tick.open;
        self.most_open = self.most_open.max(self.open());
        self.last_end = self.last_end.max(Duration::from_micros(tick.last_end));
        self.whole.add(&tick.measures);
        self.current.add(&tick.measures);
        complete
    }

    pub fn open(&self) -> u64 {
        self.open.iter().sum()
    }

    /// Ends the current second and returns its measurements.
    pub fn close(&mut self) -> Measures {
        let second = std::mem::take(&mut self.current);
        if self.moments.len() < MAX_MOMENTS {
            let at = |latency, quantile| {
                second.latency(latency).map(|histogram| millis_at(histogram, quantile))
            };
            self.moments.push(Moment {
                second: (self.ends - self.began).as_secs(),
                open: self.open(),
                placed: second.counts.placed,
                acked: second.counts.acked,
                ended: second.counts.ended,
                frames: second.counts.frames,
                dropped: second.counts.dropped,
                errors: second.error_count(),
                ack_p50_ms: at(Latency::Ack, 0.5),
                ack_p99_ms: at(Latency::Ack, 0.99),
                push_p99_ms: at(Latency::Push, 0.99),
            });
        }
        second
    }
}
