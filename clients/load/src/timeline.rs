//! What happened when: everything measured, as a whole and second by second.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::measures::{Latency, Measures, millis_at};
use crate::message::Tick;

/// The length of a moment.
const MOMENT: Duration = Duration::from_secs(1);
/// The most moments; what comes after two hours is in the whole only.
const MAX_MOMENTS: usize = 7_200;

/// The measurements of a test by time.
#[derive(Debug)]
pub struct Timeline {
    /// Everything.
    pub whole: Measures,
    /// Second by second.
    pub moments: Vec<Moment>,
    /// The most sockets that were open at once.
    pub most_open: u64,
    /// When the last end of an order was first seen, after orders began to be placed.
    pub last_end: Duration,
    began: Instant,
    ends: Instant,
    current: Measures,
    /// The open sockets of each engine.
    open: Vec<u64>,
}

/// A second of the test.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// Its end, in seconds since the first socket was due.
    pub second: u64,
    /// Sockets open in the end.
    pub open: u64,
    /// Orders sent.
    pub placed: u64,
    /// Orders accepted.
    pub acked: u64,
    /// Ends of orders seen.
    pub ended: u64,
    /// Frames received.
    pub frames: u64,
    /// Errors.
    pub errors: u64,
    /// Half of the answers came within so many milliseconds.
    pub ack_p50_ms: Option<f64>,
    /// 99 of 100 answers came within so many milliseconds.
    pub ack_p99_ms: Option<f64>,
    /// 99 of 100 updates came within so many milliseconds.
    pub push_p99_ms: Option<f64>,
}

impl Timeline {
    /// Begins now, with so many engines.
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

    /// Takes what an engine measured; the second that it completes, if it does.
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

    /// Sockets that are open now.
    pub fn open(&self) -> u64 {
        self.open.iter().sum()
    }

    /// Ends the second at hand.
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
                errors: second.error_count(),
                ack_p50_ms: at(Latency::Ack, 0.5),
                ack_p99_ms: at(Latency::Ack, 0.99),
                push_p99_ms: at(Latency::Push, 0.99),
            });
        }
        second
    }
}
