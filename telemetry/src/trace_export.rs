//! The export of spans to a collector, by OTLP over HTTP.
//!
//! One task of the process. It sends batches one after the other, and repeats a batch within
//! [`PATIENCE`] while the collector is unreachable or asks for it. Meanwhile spans wait in the
//! bounded queue. A batch that cannot be sent is dropped and counted, and so is a span that finds
//! the queue full. Neither is logged more often than once a minute.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metric_table::{SPANS_DROPPED, SPANS_EXPORTED};
use crate::{trace_queue, trace_sampling};

/// The most spans in one request to the collector.
const MAX_BATCH: usize = 512;
/// The longest time that a span waits for others.
const GATHER: Duration = Duration::from_millis(500);
/// The longest time for one batch, with its repetitions.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest wait for the last spans at the end of the process.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// The least time between two lines of the log about the same failure.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// The collector and the share of traces.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The client that speaks to the collector.
    pub client: reqwest::Client,
    /// The address to which batches are posted.
    pub endpoint: String,
    /// Headers of each request.
    pub headers: HashMap<String, String>,
    /// The share of the requests to record that say nothing themselves, from 0 to 1.
    pub ratio: f64,
    /// The name of the program.
    pub service: &'static str,
}

/// The running export.
#[derive(Debug)]
pub struct TraceExport {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl TraceExport {
    /// Starts the export. From now on traces are recorded.
    ///
    /// # Errors
    /// A message for people: the settings cannot be used, or the export was started already.
    pub fn start(settings: TraceSettings) -> Result<Self, String> {
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(settings.endpoint)
            .with_headers(settings.headers)
            .with_timeout(PATIENCE)
            .with_http_client(settings.client)
            .build()
            .map_err(|error| error.to_string())?;
        exporter.set_resource(&resource(settings.service));
        let spans = trace_queue::open()?;
        trace_sampling::begin(settings.ratio);
        let stop = CancellationToken::new();
        let task = tokio::spawn(export_all(spans, exporter, stop.clone()));
        Ok(Self { stop, task })
    }

    /// Sends the spans that wait, within two seconds.
    pub async fn finish(self) {
        self.stop.cancel();
        let abort = self.task.abort_handle();
        if timeout(LAST_SPANS, self.task).await.is_err() {
            abort.abort();
            warn!("the last spans were not exported in time");
        }
    }
}

/// Returns the description of this process. Operators may add to it with
/// `OTEL_RESOURCE_ATTRIBUTES`.
fn resource(service: &'static str) -> Resource {
    let instance = format!("{:032x}", rand::random::<u128>());
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", service),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ])
        .with_detector(Box::new(EnvResourceDetector::new()))
        .build()
}

async fn export_all(
    mut spans: Receiver<Box<SpanData>>,
    exporter: SpanExporter,
    stop: CancellationToken,
) {
    let mut failure = FailureLog::default();
    let mut batch = Vec::with_capacity(MAX_BATCH);
    loop {
        if stop.run_until_cancelled(gather(&mut spans, &mut batch)).await.is_none() {
            // Later spans are dropped.
            spans.close();
            spans.recv_many(&mut batch, MAX_BATCH).await;
        }
        if batch.is_empty() {
            return;
        }
        let count = batch.len();
        let full = spans.capacity() == 0;
        let outcome = exporter.export(batch.drain(..).map(|span| *span).collect()).await;
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match outcome {
            Ok(()) => {
                metrics::counter!(SPANS_EXPORTED).increment(count);
                failure.end();
            }
            Err(error) => {
                metrics::counter!(SPANS_DROPPED, "reason" => "collector").increment(count);
                failure.note(&error.to_string());
            }
        }
        if full {
            failure.note_full();
        }
    }
}

/// Waits for spans. Returns when enough are there, or the first has waited long enough.
#[expect(clippy::vec_box, reason = "the queue holds them so")]
async fn gather(spans: &mut Receiver<Box<SpanData>>, batch: &mut Vec<Box<SpanData>>) {
    spans.recv_many(batch, MAX_BATCH).await;
    let end = Instant::now() + GATHER;
    while batch.len() < MAX_BATCH {
        let room = MAX_BATCH - batch.len();
        match timeout_at(end, spans.recv_many(batch, room)).await {
            Ok(received) if received > 0 => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// The lines of the log about failures of the export.
#[derive(Debug, Default)]
struct FailureLog {
    /// True from the first failure until a success.
    fails: bool,
    failed: Option<Instant>,
    full: Option<Instant>,
}

impl FailureLog {
    fn note(&mut self, error: &str) {
        self.fails = true;
        if is_due(&mut self.failed) {
            warn!(error, "cannot export traces; spans are dropped, and orders go on");
        }
    }

    fn note_full(&mut self) {
        if is_due(&mut self.full) {
            warn!("spans end faster than the collector takes them; some are dropped");
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.fails) {
            info!("traces are exported again");
        }
    }
}

fn is_due(last: &mut Option<Instant>) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() >= LOG_EVERY);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}
