//! `--check`: prints what a program would use, and tries what it depends on. Nothing is served and
//! nothing is changed.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::path::Path;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};
use galley_bus::BusConfig;
use galley_protocol::MessageKeys;
use galley_protocol::finding::Finding;
use galley_protocol::harmless::harmless;
use galley_store::DEFAULT_CONNECTIONS;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::backend_arguments::try_bus;
use crate::secret_files::{file_variable, named_file};
use crate::{Failure, Patience, WaitConfig, open_store, schema};

/// The option that only checks.
#[derive(Args, Clone, Copy, Debug)]
pub struct CheckConfig {
    /// Print each setting with its source, secrets hidden, try the database and Redis, and end.
    /// Exit code 0: all is well; 1: one of them fails; 2: a bad setting
    #[arg(long)]
    pub check: bool,
}

/// The settings in force of a program, and the answers of its dependencies.
#[derive(Debug, Default, Serialize)]
pub struct CheckReport {
    settings: Vec<CheckedSetting>,
    dependencies: Vec<CheckedDependency>,
    /// The findings about them, and about this process.
    findings: Vec<Finding>,
    /// The keys of messages on the bus, if the database has shown them. Without them the heartbeats
    /// of this process look forged to others.
    #[serde(skip)]
    keys: Option<MessageKeys>,
}

/// A setting with its value in force.
#[derive(Debug, Serialize)]
struct CheckedSetting {
    /// The option, such as `--listen`.
    name: String,
    value: String,
    /// The place of the value: the option, a variable, a file, or `default`.
    source: String,
}

/// A dependency, and what it answered.
#[derive(Debug, Serialize)]
struct CheckedDependency {
    name: String,
    ok: bool,
    detail: String,
}

impl CheckReport {
    /// Lists the settings of this command that have these values.
    #[must_use]
    pub fn of(command: &Command, matches: &ArgMatches) -> Self {
        let ids: Vec<&str> = matches.ids().map(clap::Id::as_str).collect();
        let shown = command.get_arguments().filter(|arg| ids.contains(&arg.get_id().as_str()));
        let settings = shown.filter_map(|arg| {
            let long = arg.get_long().filter(|long| *long != "check")?;
            let id = arg.get_id().as_str();
            let values = matches.get_raw(id)?.map(|value| value.to_string_lossy());
            let value = values.collect::<Vec<_>>().join(",");
            let variable = arg.get_env().and_then(|name| name.to_str()).unwrap_or_default();
            let given = matches.value_source(id)?;
            let source = if given == ValueSource::CommandLine {
                format!("--{long}")
            } else if given == ValueSource::EnvVariable {
                variable.to_owned()
            } else if named_file(variable).is_some() {
                file_variable(variable)
            } else {
                "default".to_owned()
            };
            let value = if arg.is_hide_env_values_set() && source != "default" {
                "(hidden)".to_owned()
            } else {
                value
            };
            Some(CheckedSetting { name: format!("--{long}"), value, source })
        });
        Self {
            settings: settings.collect(),
            dependencies: Vec::new(),
            findings: of_process(),
            keys: None,
        }
    }

    /// Adds a dependency with its answer: what is well, or what is wrong.
    pub fn add(&mut self, name: &str, answer: Result<String, String>) {
        let (ok, detail) = match answer {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        self.dependencies.push(CheckedDependency { name: name.to_owned(), ok, detail });
    }

    /// Tries the database once: that it answers, and that its schema is up to date.
    pub async fn try_database(&mut self, url: &str) {
        let answer = self.database(url).await.map_err(|failure| failure.to_string());
        self.add("database", answer);
    }

    async fn database(&mut self, url: &str) -> Result<String, Failure> {
        let place = galley_store::place(url).map_err(Failure::failed)?;
        if let Some(file) = url.strip_prefix("sqlite://").filter(|file| !Path::new(file).exists()) {
            return Ok(format!("{file} does not exist yet and will be created"));
        }
        let patience = once();
        let store = open_store(url, DEFAULT_CONNECTIONS, &patience).await?;
        let answer = schema(store.as_ref(), &patience).await;
        self.keys = answer.is_ok().then(|| store.cursor_keys().messages().clone());
        self.findings.extend(store.findings().await.unwrap_or_default());
        crate::close_store(store.as_ref()).await;
        answer.map(|()| format!("{place} answers, and its schema is up to date"))
    }

    /// Tries Redis once.
    pub async fn try_bus(&mut self, config: &BusConfig) {
        let answer = async {
            let place = config.place().map_err(|error| error.to_string())?;
            let keys = self.keys.clone().unwrap_or_else(|| config.keys.clone());
            match try_bus(&BusConfig { keys, ..config.clone() }, &once()).await {
                Ok(bus) => {
                    self.findings.extend(bus.findings().await.unwrap_or_default());
                    crate::leave_bus(&bus).await;
                    Ok(format!("{place} answers"))
                }
                Err(failure) => Err(failure.to_string()),
            }
        };
        let answer = answer.await;
        self.add("Redis", answer);
    }

    /// Returns true if every dependency answered well.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.dependencies.iter().all(|dependency| dependency.ok)
    }

    /// Returns the report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let width = self.settings.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
        for CheckedSetting { name, value, source } in &self.settings {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:width$}  {}  ({source})", harmless(value));
        }
        text.push('\n');
        for CheckedDependency { name, ok, detail } in &self.dependencies {
            let verdict = if *ok { "ok" } else { "FAILED" };
            let _ = writeln!(text, "{verdict:6}  {name}: {}", harmless(detail));
        }
        for Finding { name, detail, advice } in &self.findings {
            let (verdict, advice) =
                advice.map_or(("ok", String::new()), |advice| ("LOOK", format!("; {advice}")));
            let _ = writeln!(text, "{verdict:6}  {name}: {}{advice}", harmless(detail));
        }
        text
    }

    /// Returns the report as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("plain data is JSON") + "\n"
    }
}

/// Checks a gateway or a worker, and prints the report. `settings` is the verdict on settings that
/// the command line alone cannot judge. `try_others` adds further dependencies to the report.
#[must_use]
pub fn check(
    command: &Command,
    matches: &ArgMatches,
    settings: Result<(), Failure>,
    database_url: &str,
    bus: &BusConfig,
    try_others: impl AsyncFnOnce(&mut CheckReport),
) -> ExitCode {
    if let Err(failure) = settings {
        return Failure::report(Err(failure));
    }
    let mut report = CheckReport::of(command, matches);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            report.try_database(database_url).await;
            report.try_bus(bus).await;
            try_others(&mut report).await;
        }),
        Err(error) => report.add("threads", Err(error.to_string())),
    }
    // A closed standard output is no failure: the exit code has the verdict as well.
    let _ = stdout().write_all(report.text().as_bytes());
    if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Looks at this process.
fn of_process() -> Vec<Finding> {
    /// A socket is a file, and few processes need more.
    const ENOUGH: u64 = 65_536;
    rlimit::Resource::NOFILE.get().map_or_else(
        |_| Vec::new(),
        |(_, hard)| {
            vec![Finding::new(
                "open files",
                format!("at most {hard}"),
                hard >= ENOUGH,
                "raise the limit (`LimitNOFILE` of systemd, `ulimit -Hn`): each socket is a file",
            )]
        },
    )
}

/// One attempt, without waiting.
fn once() -> Patience {
    WaitConfig { wait: std::time::Duration::ZERO }.begin(&CancellationToken::new())
}
