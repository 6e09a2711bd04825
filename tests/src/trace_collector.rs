//! A collector of traces (Rotel) of a test, on a free port. It writes what it receives as text.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::{TestProgram, port, until};

/// A running collector. It is killed when it is dropped.
#[derive(Debug)]
pub struct TraceCollector {
    program: TestProgram,
    port: u16,
}

/// A span as the collector received it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectedSpan {
    /// The name of the program.
    pub service: String,
    /// The id of the trace.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The id of the span that caused it; empty for none.
    pub cause: String,
    /// Its name.
    pub name: String,
    /// The moment of its beginning, in nanoseconds.
    pub began: u64,
    /// The moment of its end, in nanoseconds.
    pub ended: u64,
    /// Its attributes, such as `Int(7)`.
    pub attributes: BTreeMap<String, String>,
    /// The ids of the spans that it links to.
    pub links: Vec<String>,
}

impl TraceCollector {
    /// Starts one, and waits until it listens.
    pub async fn start() -> Self {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/rotel/bin/rotel-agent");
        let port = port::free();
        let (http, grpc) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port::free()));
        let mut program = TestProgram::start(
            "rotel",
            Command::new(Path::new(own))
                .args(["start", "--exporter", "blackhole"])
                .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
                .args(["--otlp-http-endpoint", &http, "--otlp-grpc-endpoint", &grpc]),
        );
        program.line("Starting Rotel").await;
        until("a collector that listens", async || {
            tokio::net::TcpStream::connect(&http).await.ok()
        })
        .await;
        Self { program, port }
    }

    /// The port for OTLP over HTTP.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address for programs.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The spans that have arrived.
    #[must_use]
    pub fn spans(&self) -> Vec<CollectedSpan> {
        read(&self.program.log())
    }

    /// Waits for a span.
    pub async fn until(&self, what: &str, is_it: impl Fn(&CollectedSpan) -> bool) -> CollectedSpan {
        until(what, async || self.spans().into_iter().find(&is_it)).await
    }

    /// Waits for the step of a trace with these attributes, and returns it with the steps that led
    /// to it, the last first.
    pub async fn steps_to(&self, trace: &str, name: &str, status: &str) -> Vec<CollectedSpan> {
        let status = format!("Str({status})");
        let is_last = |span: &CollectedSpan| {
            span.trace == trace
                && span.name == name
                && span.attributes.get("galley.order.status") == Some(&status)
        };
        let steps = async || {
            let spans = self.spans();
            let mut steps = vec![spans.iter().find(|span| is_last(span))?.clone()];
            loop {
                let cause = &steps.last()?.cause;
                match spans.iter().find(|span| span.trace == trace && span.id == *cause) {
                    Some(step) => steps.push(step.clone()),
                    None => return steps.last()?.cause.starts_with("c11c").then_some(steps),
                }
            }
        };
        until(&format!("the {name} of the trace {trace}"), steps).await
    }
}

/// Reads the text of the collector.
fn read(log: &str) -> Vec<CollectedSpan> {
    let (mut spans, mut service, mut section) = (Vec::<CollectedSpan>::new(), "", "");
    for line in log.lines().map(str::trim) {
        if line.starts_with("Span #") {
            spans.push(CollectedSpan { service: service.to_owned(), ..CollectedSpan::default() });
        } else if let Some(entry) = line.strip_prefix("-> ") {
            let (name, value) = entry.split_once(": ").unwrap_or((entry, ""));
            let span = spans.last_mut();
            match (section, name, span) {
                ("Resource attributes:", "service.name", _) => {
                    service = value.trim_start_matches("Str(").trim_end_matches(')');
                }
                ("Attributes:", _, Some(span)) => {
                    span.attributes.insert(name.to_owned(), value.to_owned());
                }
                ("Links:", "ID", Some(span)) => span.links.push(value.to_owned()),
                _ => {}
            }
        } else if line.ends_with(':') && !line.ends_with("SchemaURL:") {
            section = line;
        } else if let (Some((name, value)), Some(span)) = (line.split_once(':'), spans.last_mut()) {
            let value = value.trim();
            match name.trim() {
                "Trace ID" => value.clone_into(&mut span.trace),
                "Parent ID" => value.clone_into(&mut span.cause),
                "ID" => value.clone_into(&mut span.id),
                "Name" => value.clone_into(&mut span.name),
                "Start time" => span.began = value.parse().unwrap_or_default(),
                "End time" => span.ended = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
    }
    spans
}
