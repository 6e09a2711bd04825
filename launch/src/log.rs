//! Where the program says what it does: standard error, for people or for machines.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal as _, stderr};
use std::panic::PanicHookInfo;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::Failure;

/// What is logged, and how.
#[derive(Args, Clone, Debug)]
pub struct LogConfig {
    /// What to log: error, warn, info, debug, trace, or rules such as `info,galley_gateway=debug`; `debug` tells of every
    /// request and costs throughput
    #[arg(long, env = "GALLEY_LOG", value_name = "LEVEL", default_value = "info")]
    pub log: String,
    /// How to log, on standard error
    #[arg(long, env = "GALLEY_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON lines otherwise
    Auto,
    /// Lines for people, in colour on a terminal unless `NO_COLOR` is set
    Pretty,
    /// One JSON object a line
    Json,
}

impl LogConfig {
    /// Starts logging. To be called once, before anything logs.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the rules cannot be read.
    pub fn start(&self) -> Result<(), Failure> {
        let filter = EnvFilter::try_new(&self.log)
            .map_err(|error| Failure::Usage(format!("invalid value '{}' for '--log <LEVEL>': {error}", self.log)))?;
        let terminal = stderr().is_terminal();
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
        let started = if self.log_format.is_json(terminal) {
            subscriber.json().flatten_event(true).with_span_list(false).try_init()
        } else {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            subscriber.with_ansi(terminal && !plain).with_target(false).try_init()
        };
        started.map_err(|error| Failure::failed(format_args!("cannot start logging: {error}")))?;
        std::panic::set_hook(Box::new(log_panic));
        Ok(())
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

/// A panic is a line of the log like any other, whatever is in its message.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("nothing that can be shown");
    let at = panic.location().map(ToString::to_string);
    let thread = std::thread::current().name().map(str::to_owned);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(said, at, thread, backtrace, "a panic");
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::panic::{catch_unwind, set_hook, take_hook};

    use super::{LogConfig, LogFormat, log_panic};

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
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(file).finish();
        let before = take_hook();
        set_hook(Box::new(log_panic));
        let panicked = tracing::subscriber::with_default(subscriber, || catch_unwind(|| panic!("a\nb\u{1b}[2J\"}}")));
        set_hook(before);
        assert!(panicked.is_err());
        let log = std::fs::read_to_string(&path).expect("a log");
        assert!(log.lines().count() == 1 && log.contains(r#""level":"ERROR""#) && log.contains("log.rs"), "{log}");
        assert!(!log.trim_end().contains(char::is_control), "{log:?}");
    }

    #[test]
    fn rules_that_cannot_be_read_are_a_bad_configuration() {
        let config = LogConfig { log: "info,=,".to_owned(), log_format: LogFormat::Json };
        let failure = config.start().expect_err("bad rules");
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("--log"), "{failure}");
    }
}
