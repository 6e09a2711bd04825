//! The log of a program on standard error, for people or for machines.
//!
//! [`crate::run`] starts it once, before anything is logged. Logging never blocks and never ends
//! the program, whatever happens to standard error. A log in JSON contains only JSON, including its
//! last line, the reason why the program failed.

mod log_queue;
mod rules;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal as _, Write as _, stderr};
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tracing_subscriber::fmt::MakeWriter;

use crate::Failure;
pub(crate) use log_queue::LogQueue;
pub use rules::LogRules;

/// The longest wait for unwritten lines at the end of the program.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The content and the format of the log.
#[derive(Args, Clone, Debug)]
pub struct LogConfig {
    /// What to log: off, error, warn, info, debug, trace, or rules such as
    /// `info,galley_gateway=debug`; `debug` logs every request and costs throughput
    #[arg(long, env = "GALLEY_LOG", value_name = "LEVEL", default_value = "info")]
    pub log: LogRules,
    /// How to log, on standard error
    #[arg(long, env = "GALLEY_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON lines otherwise
    Auto,
    /// Lines for people, in colour on a terminal unless `NO_COLOR` is set
    Pretty,
    /// One JSON object a line
    Json,
}

/// A started log. Dropping it waits a moment until the last lines are written.
pub(crate) struct Log {
    queue: LogQueue,
    config: LogConfig,
}

impl LogConfig {
    /// Starts logging. Must be called once, before anything logs.
    pub(crate) fn start(&self) -> Result<Log, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::failed(format_args!("cannot start logging: {error}"))
        };
        let queue = LogQueue::start(stderr()).map_err(|error| failed(&error))?;
        let terminal = stderr().is_terminal();
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(self.log.filter()).with_writer(queue.clone());
        let started = if self.log_format.is_json(terminal) {
            subscriber.json().flatten_event(true).with_span_list(false).try_init()
        } else {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            subscriber.with_ansi(terminal && !plain).with_target(false).try_init()
        };
        started.map_err(|error| failed(&error))?;
        std::panic::set_hook(Box::new(log_panic));
        Ok(Log { queue, config: self.clone() })
    }
}

impl Log {
    pub(crate) fn queue(&self) -> LogQueue {
        self.queue.clone()
    }

    /// Writes the reason for the end as the last line, and returns the exit code.
    pub(crate) fn end(self, result: Result<(), Failure>) -> ExitCode {
        let Err(failure) = result else { return ExitCode::SUCCESS };
        if let Some(line) = failure.line() {
            if self.is_json_for(&failure) {
                say_in_json(self.queue.clone(), &failure, &line);
            } else {
                let _ = writeln!(self.queue.clone(), "{line}");
            }
        }
        failure.code().into()
    }

    /// Returns true if the reason is written in JSON. A usage error ends the program before its log
    /// begins, and a log that is off has no lines: in these two cases the reason is JSON only if
    /// the format is set to JSON.
    fn is_json_for(&self, failure: &Failure) -> bool {
        match self.config.log_format {
            LogFormat::Auto => {
                let begun = !matches!(failure, Failure::Usage(_)) && !self.config.log.is_off();
                begun && LogFormat::Auto.is_json(stderr().is_terminal())
            }
            format @ (LogFormat::Pretty | LogFormat::Json) => format.is_json(false),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.drain(LAST_LINES);
    }
}

impl LogFormat {
    fn is_json(self, terminal: bool) -> bool {
        match self {
            Self::Auto => !terminal,
            Self::Pretty => false,
            Self::Json => true,
        }
    }
}

/// Writes a line like those of a log in JSON, even if the rules of the log would exclude it.
pub(crate) fn say_in_json(
    output: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    failure: &Failure,
    line: &str,
) {
    let subscriber =
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(output).finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::error!(exit_code = failure.code(), "{line}");
    });
}

/// Logs a panic as one line like any other, whatever its message contains.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("nothing that can be shown");
    let at = panic.location().map(ToString::to_string);
    let thread = std::thread::current().name().map(str::to_owned);
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(said, at, thread, backtrace, "a panic");
    metrics::counter!(galley_telemetry::PANICS).increment(1);
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::thread::current;

    use super::{LogFormat, log_panic};

    #[test]
    fn auto_is_pretty_on_a_terminal_only() {
        assert!(LogFormat::Auto.is_json(false));
        assert!(!LogFormat::Auto.is_json(true));
        assert!(!LogFormat::Pretty.is_json(false));
        assert!(LogFormat::Json.is_json(true));
    }

    #[test]
    fn a_panic_is_one_line_whatever_it_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let file = File::create(&path).expect("a file");
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(file).finish();
        let (before, here) = (take_hook(), current().id());
        // Other tests panic on purpose. On their threads nobody subscribes, and the first event there
        // would turn the line off for this thread as well.
        set_hook(Box::new(move |panic| {
            if current().id() == here {
                log_panic(panic);
            }
        }));
        let panicked = tracing::subscriber::with_default(subscriber, || {
            catch_unwind(|| panic!("a\nb\u{1b}[2J\"}}"))
        });
        set_hook(before);
        assert!(panicked.is_err());
        let log = std::fs::read_to_string(&path).expect("a log");
        assert!(
            log.lines().count() == 1
                && log.contains(r#""level":"ERROR""#)
                && log.contains("log.rs"),
            "{log}"
        );
        assert!(!log.trim_end().contains(char::is_control), "{log:?}");
    }
}
