//! The display while the test runs: progress bars on a terminal, otherwise a line for each step and
//! every 5 s.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::measures::millis_at;
use crate::measures::{Latency, Measures};

/// The time between two lines.
const PAUSE: Duration = Duration::from_secs(5);

/// The progress display.
#[derive(Debug)]
pub struct RunProgress {
    bars: Option<Bars>,
    /// The sockets of the test.
    sockets: usize,
    /// The time of the last line.
    said: Cell<Instant>,
}

#[derive(Debug)]
struct Bars {
    sockets: ProgressBar,
    time: ProgressBar,
    figures: ProgressBar,
    _all: MultiProgress,
}

impl RunProgress {
    /// A display for this number of sockets.
    pub fn new(sockets: usize) -> Self {
        let said = Cell::new(Instant::now());
        if !std::io::stderr().is_terminal() {
            return Self { bars: None, sockets, said };
        }
        let style = |template: &str| {
            ProgressStyle::with_template(template).expect("the templates are sound")
        };
        let all = MultiProgress::new();
        let add = |length: u64, template: &str| {
            all.add(ProgressBar::new(length).with_style(style(template)))
        };
        let bars = Bars {
            sockets: add(sockets as u64, "sockets {wide_bar} {pos} of {len}"),
            time: add(0, "load    {wide_bar} {pos} s of {len} s"),
            figures: add(0, "{wide_msg}"),
            _all: all,
        };
        Self { bars: Some(bars), sockets, said }
    }

    /// Shows that a step has begun.
    pub fn step(&self, what: &str) {
        match &self.bars {
            Some(bars) => bars.figures.set_message(what.to_owned()),
            None => self.say(what),
        }
    }

    fn say(&self, line: &str) {
        self.said.set(Instant::now());
        // A closed standard error does not end the test.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn is_due(&self) -> bool {
        self.said.get().elapsed() >= PAUSE
    }

    /// Shows the number of open sockets.
    pub fn sockets(&self, open: u64) {
        match &self.bars {
            Some(bars) => bars.sockets.set_position(open),
            None if self.is_due() => {
                self.say(&format!("opening sockets: {open} of {}", self.sockets));
            }
            None => {}
        }
    }

    /// Shows the elapsed time of the load and the figures of the last second.
    pub fn load(
        &self,
        elapsed: Duration,
        whole: Duration,
        open: u64,
        second: &Measures,
        whole_run: &Measures,
    ) {
        if self.bars.is_none() && !self.is_due() {
            return;
        }
        let acks = second.latency(Latency::Ack);
        let at = |quantile| {
            acks.map_or_else(|| "-".to_owned(), |acks| format!("{:.1}", millis_at(acks, quantile)))
        };
        let figures = format!(
            "{} orders/s, {} frames/s, ack p50 {} p95 {} p99 {} ms, {} errors",
            second.counts.acked,
            second.counts.frames,
            at(0.5),
            at(0.95),
            at(0.99),
            whole_run.error_count()
        );
        let (passed, length) = (elapsed.min(whole).as_secs(), whole.as_secs());
        match &self.bars {
            Some(bars) => {
                bars.sockets.set_position(open);
                bars.time.set_length(length);
                bars.time.set_position(passed);
                bars.figures.set_message(figures);
            }
            None => self.say(&format!("{passed} s of {length} s: {open} sockets, {figures}")),
        }
    }

    /// Shows that the load is over and the last answers and states are awaited.
    pub fn waiting(&self) {
        if self.is_due() {
            self.step("waiting for the last answers and states");
        }
    }

    /// Removes the bars.
    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            [&bars.sockets, &bars.time, &bars.figures]
                .into_iter()
                .for_each(ProgressBar::finish_and_clear);
        }
    }
}
