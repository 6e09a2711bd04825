//! `galley-load`: a load test that opens very many sockets, measures all latencies and checks that
//! every socket received every state.
//!
//! One process coordinates the test. The sockets are held by engines: child processes of the same
//! program.

mod coordinator;
mod credentials;
mod engine;
mod fleet;
mod load_arguments;
mod load_failure;
mod load_settings;
mod measures;
mod message;
mod plan;
mod push_lag;
mod report;
mod requirement;
mod run_progress;
mod system_limits;
mod tested_gateway;
mod timeline;

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use galley_protocol::harmless::harmless_json;
use load_arguments::LoadArguments;
use load_failure::LoadFailure;
use report::{Report, html, table};

/// First argument of a child process that runs as an engine.
const ENGINE: &str = "engine";

fn main() -> ExitCode {
    galley_launch::install_tls_provider();
    if std::env::args().nth(1).as_deref() == Some(ENGINE) {
        return LoadFailure::report(engine::run());
    }
    let arguments: LoadArguments = galley_launch::parse();
    LoadFailure::report(coordinate(&arguments))
}

fn coordinate(arguments: &LoadArguments) -> Result<(), LoadFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| LoadFailure::failed("cannot start", &error))?;
    let report = runtime.block_on(coordinator::run(arguments))?;
    if let Some(path) = &arguments.html {
        std::fs::write(path, html::render(&report))
            .map_err(|error| LoadFailure::failed(&path.display().to_string(), &error))?;
    }
    let shown = if arguments.json {
        let json = serde_json::to_string(&report);
        harmless_json(&json.map_err(|error| LoadFailure::failed("the report", &error))?) + "\n"
    } else {
        table::render(&report)
    };
    // A closed standard output is no failure: the exit code carries the verdict as well.
    let _ = stdout().write_all(shown.as_bytes());
    verdict(&report)
}

fn verdict(report: &Report) -> Result<(), LoadFailure> {
    let unmet = report.unmet();
    if report.interrupted {
        return Err(LoadFailure::Interrupted);
    }
    if unmet.is_empty() {
        Ok(())
    } else {
        Err(LoadFailure::Unmet(format!("not met: {}", unmet.join(", "))))
    }
}
