//! The report of a test, for people and for programs. `report.schema.json` describes its JSON.

pub mod chart;
pub mod html;
pub mod prometheus;
mod settings_table;
pub mod table;

pub use settings_table::settings_in_words;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use galley_protocol::Timestamp;
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::load_arguments::{LoadArguments, Over};
use crate::load_host::LoadHost;
use crate::load_settings::LoadSettings;
use crate::load_stage::LoadStage;
use crate::measures::{Counts, Latency, QUANTILES, RATES, float, millis, millis_at};
use crate::message::MemoryUse;
use crate::plan::PlacingPace;
use crate::push_lag::PushLag;
use crate::requirement::Requirement;
use crate::tested_gateway::ServiceProgram;
use crate::timeline::{Moment, Timeline};

/// Version of the JSON format. Additions do not change it.
const SCHEMA: u32 = 1;
/// Maximum points of the percentile curve; each halves the distance to 100 %.
const CURVE: i32 = 24;

/// The state of a test, during it or in the end.
#[derive(Debug)]
pub struct Outcome<'a> {
    pub started: SystemTime,
    /// Time from the start until every socket was open or given up.
    pub ramp: Duration,
    pub load: Duration,
    pub interrupted: bool,
    /// The requirement that ended the test early.
    pub aborted: Option<String>,
    /// Sockets that were opened before the load.
    pub opened: u64,
    /// Memory of each engine.
    pub memory: &'a [MemoryUse],
    pub processor_ms: u64,
    /// The machines that make the load.
    pub hosts: &'a [LoadHost],
    /// The programs of the tested service.
    pub service: &'a [ServiceProgram],
    /// The push lags measured by the gateways; `None` if they do not publish them.
    pub push_lag: Option<PushLag>,
    pub timeline: &'a Timeline,
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub schema: u32,
    pub version: &'static str,
    pub started: Option<Timestamp>,
    /// True if a signal stopped the test; then nothing was compared with the database.
    pub interrupted: bool,
    /// The requirement that ended the test early; then nothing was compared either.
    pub aborted: Option<String>,
    pub settings: Value,
    /// `open`: latencies begin when an order was due, so that they include the time in which the
    /// gateway answered nothing. `closed`: each order waits for an earlier answer, so that the
    /// latencies miss the orders that were not placed meanwhile. `none`: no orders.
    pub model: &'static str,
    /// Time until every socket was open or given up, in seconds.
    pub ramp_s: f64,
    pub load_s: f64,
    pub most_open: u64,
    /// Events per second, by the names in [`RATES`].
    pub rates: Map<String, Value>,
    /// Statistics of each latency, by name; latencies without a value are absent.
    pub latencies: Map<String, Value>,
    pub counts: Counts,
    /// The errors, most frequent first.
    pub errors: Vec<ErrorCount>,
    /// Lags from commit to write, measured by the gateways; absent if they do not publish them.
    pub push_lag: Option<PushLag>,
    /// The programs of the tested service; empty if a gateway does not tell.
    pub service: Vec<ServiceProgram>,
    pub client: ClientReport,
    pub moments: Vec<Moment>,
    pub requirements: Vec<RequirementResult>,
}

#[derive(Debug, Serialize)]
pub struct ErrorCount {
    pub what: String,
    pub count: u64,
}

#[derive(Debug, Serialize)]
pub struct ClientReport {
    pub processes: usize,
    /// Resident bytes per connection, above those of a process without connections. Kernel memory
    /// is not included.
    pub bytes_per_socket: Option<f64>,
    pub processor_s: f64,
    /// The machines that made the load.
    pub hosts: Vec<LoadHost>,
}

#[derive(Debug, Serialize)]
pub struct RequirementResult {
    /// Its text on the command line.
    pub requirement: String,
    /// The measured value; `None` if nothing was measured.
    pub value: Option<f64>,
    pub holds: bool,
}

impl Report {
    pub fn of(arguments: &LoadArguments, settings: &LoadSettings, outcome: Outcome<'_>) -> Self {
        let Outcome { timeline, memory, .. } = outcome;
        let whole = &timeline.whole;
        let counts = whole.counts;
        let a_second = |count: u64, time: Duration| {
            rounded(if time.is_zero() { 0.0 } else { float(count) / time.as_secs_f64() })
        };
        // Orders end, and their frames arrive, after the load as well. Only `acked` stops with it.
        let until_last_end = timeline.last_end.max(outcome.load);
        let rates = [
            a_second(counts.acked, outcome.load),
            a_second(counts.ended, until_last_end),
            // Without the welcome of each socket.
            a_second(counts.frames.saturating_sub(counts.opened), until_last_end),
            a_second(outcome.opened, outcome.ramp),
        ];
        let latencies = Latency::ALL.iter().filter_map(|latency| {
            let histogram = whole.latency(*latency)?;
            Some((latency.word().to_owned(), describe(histogram)))
        });
        let mut report = Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            started: timestamp(outcome.started),
            interrupted: outcome.interrupted,
            aborted: outcome.aborted,
            settings: asked_for(arguments, settings),
            model: model(settings),
            ramp_s: rounded(outcome.ramp.as_secs_f64()),
            load_s: rounded(outcome.load.as_secs_f64()),
            most_open: timeline.most_open,
            rates: RATES
                .iter()
                .map(|name| (*name).to_owned())
                .zip(rates.map(Value::from))
                .collect(),
            latencies: latencies.collect(),
            counts,
            errors: whole
                .frequent_errors()
                .iter()
                .map(|(what, count)| ErrorCount { what: (*what).to_owned(), count: *count })
                .collect(),
            push_lag: outcome.push_lag,
            service: outcome.service.to_vec(),
            client: ClientReport {
                processes: settings.processes,
                bytes_per_socket: bytes_per_socket(memory, settings.connections()),
                processor_s: float(outcome.processor_ms) / 1e3,
                hosts: outcome.hosts.to_vec(),
            },
            moments: timeline.moments.clone(),
            requirements: Vec::new(),
        };
        report.judge(arguments);
        report
    }

    /// Returns a count, a rate, or a latency with a quantile (in milliseconds) by its name.
    pub fn figure(&self, name: &str) -> Option<f64> {
        if let Some((_, count, _)) = self.counts.each().find(|(count, ..)| *count == name) {
            return Some(float(count));
        }
        if let Some(rate) = self.rates.get(name) {
            return rate.as_f64();
        }
        let (latency, quantile) = name.rsplit_once('_')?;
        self.latencies.get(latency)?.get(format!("{quantile}_ms"))?.as_f64()
    }

    pub fn unmet(&self) -> Vec<&str> {
        let unmet = self.requirements.iter().filter(|judged| !judged.holds);
        unmet.map(|judged| judged.requirement.as_str()).collect()
    }

    /// Returns why the test was stopped before its end.
    pub fn stopped_early(&self) -> Option<String> {
        const COMPARED: &str = "nothing was compared with the database";
        match &self.aborted {
            Some(requirement) => Some(format!("stopped early by {requirement}: {COMPARED}")),
            None => self.interrupted.then(|| format!("stopped early: {COMPARED}")),
        }
    }

    fn judge(&mut self, arguments: &LoadArguments) {
        let judged = required(arguments).into_iter().map(|requirement| {
            let value = self.figure(requirement.name());
            RequirementResult {
                requirement: requirement.to_string(),
                value,
                holds: requirement.holds(value),
            }
        });
        self.requirements = judged.collect();
    }
}

/// Returns everything that is required: first what always is.
pub fn required(arguments: &LoadArguments) -> Vec<Requirement> {
    let always = ["lost=0", "unanswered=0"];
    let always = always.map(|text| text.parse::<Requirement>().expect("it is a requirement"));
    let others = arguments.require.iter().filter(|requirement| !always.contains(requirement));
    always.iter().chain(others).cloned().collect()
}

fn describe(histogram: &Histogram<u64>) -> Value {
    let mut figures = Map::new();
    figures.insert("count".to_owned(), histogram.len().into());
    figures.insert("mean_ms".to_owned(), rounded(histogram.mean() / 1e3).into());
    for (name, quantile) in QUANTILES {
        figures.insert(format!("{name}_ms"), millis_at(histogram, quantile).into());
    }
    figures.insert("max_ms".to_owned(), millis(histogram.max()).into());
    let most = float(histogram.len());
    let quantiles = (0..CURVE)
        .map(|halves| 1.0 - 0.5_f64.powi(halves))
        .take_while(|quantile| (1.0 - quantile) * most >= 1.0);
    let curve: Vec<_> =
        quantiles.map(|quantile| json!([quantile, millis_at(histogram, quantile)])).collect();
    figures.insert("curve".to_owned(), curve.into());
    figures.into()
}

fn asked_for(arguments: &LoadArguments, settings: &LoadSettings) -> Value {
    let rate = match &settings.pace {
        Some(PlacingPace::Open { rate }) => Some(Value::from(rate.most())),
        Some(PlacingPace::Closed { .. }) => Some("max".into()),
        None => None,
    };
    json!({
        "scenario": arguments.scenario.word(),
        "gateways": arguments.url.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sockets": settings.sockets,
        "dashboards": settings.dashboards,
        "heroes": settings.heroes,
        "ordering": settings.ordering,
        "rate": rate,
        "mix": arguments.mix.map(|mix| mix.to_string()),
        "stages": stages(arguments),
        "keys": settings.keys,
        "agents": (!arguments.agents.is_empty()).then_some(&arguments.agents),
        "event_stream_permille": some(settings.stream_permille),
        "burst": settings.burst.map(|burst| json!({"orders": burst.what, "every_ms": burst.period})),
        "storm": settings.storm.map(|storm| json!({"permille": storm.what, "every_ms": storm.period})),
        "slow_permille": some(settings.slow_permille),
        "over": if arguments.over() == Over::Rest { "rest" } else { "socket" },
        "connections": settings.rest,
        "processes": settings.processes,
        "duration_s": arguments.load_time().as_secs_f64(),
        "delay_ms": arguments.delay.map(|delay| delay.as_secs_f64() * 1e3),
        "seed": arguments.seed,
    })
}

/// A number that is not 0.
fn some(number: usize) -> Option<usize> {
    Some(number).filter(|number| *number > 0)
}

fn stages(arguments: &LoadArguments) -> Option<Value> {
    let stage = |stage: &LoadStage| json!({"duration_s": stage.duration.as_secs_f64(), "sockets": stage.sockets, "rate": stage.rate});
    let stages: Vec<_> = arguments.stage.iter().map(stage).collect();
    (!stages.is_empty()).then(|| stages.into())
}

fn model(settings: &LoadSettings) -> &'static str {
    match &settings.pace {
        Some(PlacingPace::Open { .. }) => "open",
        Some(PlacingPace::Closed { .. }) => "closed",
        None => "none",
    }
}

fn bytes_per_socket(memory: &[MemoryUse], connections: usize) -> Option<f64> {
    let grown: u64 =
        memory.iter().map(|memory| memory.with_sockets.saturating_sub(memory.before)).sum();
    (connections > 0 && !memory.is_empty())
        .then(|| rounded(float(grown) / float(connections as u64)))
}

fn timestamp(moment: SystemTime) -> Option<Timestamp> {
    let millis = moment.duration_since(UNIX_EPOCH).ok()?.as_millis();
    Timestamp::from_millis(i64::try_from(millis).ok()?).ok()
}

/// Rounds to three decimals, more than any of these measurements is precise to.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
