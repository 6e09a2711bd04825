//! The display while the test runs: progress bars on a terminal, otherwise a line for each step.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::measures::millis_at;
use crate::measures::{Latency, Measures};

/// The progress display.
#[derive(Debug)]
pub struct RunProgress {
    bars: Option<Bars>,
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
        if !std::io::stderr().is_terminal() {
            return Self { bars: None };
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
        Self { bars: Some(bars) }
    }

    /// Shows that a step has begun.
    pub fn step(&self, what: &str) {
        match &self.bars {
            Some(bars) => bars.figures.set_message(what.to_owned()),
            None => {
                let _ = writeln!(std::io::stderr(), "{what}");
            }
        }
    }

    /// Shows the number of open sockets.
    pub fn sockets(&self, open: u64) {
        if let Some(bars) = &self.bars {
            bars.sockets.set_position(open);
        }
    }

    /// Shows the elapsed time of the load and the figures of the last second.
    pub fn load(
        &self,
        elapsed: Duration,
        whole: Duration,
        second: &Measures,
        whole_run: &Measures,
    ) {
        let Some(bars) = &self.bars else { return };
        bars.time.set_length(whole.as_secs());
        bars.time.set_position(elapsed.min(whole).as_secs());
        let acks = second.latency(Latency::Ack);
        let at = |quantile| {
            acks.map_or_else(|| "-".to_owned(), |acks| format!("{:.1}", millis_at(acks, quantile)))
        };
        bars.figures.set_message(format!(
            "{} orders/s, {} frames/s, ack p50 {} p95 {} p99 {} ms, {} errors",
            second.counts.acked,
            second.counts.frames,
            at(0.5),
            at(0.95),
            at(0.99),
            whole_run.error_count()
        ));
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
