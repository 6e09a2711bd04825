//! `galley-load`: a load test that opens very many sockets, measures all latencies and checks that
//! every socket received every state.
//!
//! One process coordinates the test. The sockets are held by engines: child processes of the same
//! program.

mod action_mix;
mod agent_link;
mod coordinator;
mod credentials;
mod engine;
mod fleet;
mod gateway_addresses;
mod live_report;
mod load_agent;
mod load_arguments;
mod load_failure;
mod load_host;
mod load_settings;
mod load_stage;
mod measures;
mod message;
mod plan;
mod planning;
mod push_lag;
mod report;
mod report_comparison;
mod requirement;
mod run_progress;
mod running_test;
mod scenario_file;
mod stop_signals;
mod system_limits;
mod tested_gateway;
mod timeline;

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;

use fleet::ENGINE;
use galley_protocol::harmless::harmless_json;
use load_arguments::LoadArguments;
use load_failure::LoadFailure;
use report::{Report, html, table};

fn main() -> ExitCode {
    galley_launch::install_tls_provider();
    let word = std::env::args().nth(1);
    let result = match word.as_deref() {
        Some(ENGINE) => engine::run(),
        Some("agent") => load_agent::run(&subcommand()),
        Some("compare") => report_comparison::run(&subcommand()),
        Some(_) | None => scenario_file::complete(galley_launch::parse_with_sources())
            .and_then(|arguments| coordinate(&arguments)),
    };
    LoadFailure::report(result)
}

/// Reads the command line behind the name of a command.
fn subcommand<C: clap::Parser>() -> C {
    C::try_parse_from(std::env::args_os().skip(1)).unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        let _ = writeln!(stderr(), "{}", galley_launch::one_line::<C>(&error));
        std::process::exit(2)
    })
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
    match &report.aborted {
        Some(requirement) => {
            Err(LoadFailure::Unmet(format!("stopped early: not met: {requirement}")))
        }
        None if unmet.is_empty() => Ok(()),
        None => Err(LoadFailure::Unmet(format!("not met: {}", unmet.join(", ")))),
    }
}
