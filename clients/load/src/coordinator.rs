//! The coordinator: runs a test from start to report.
//!
//! It creates heroes and meals, starts the engines, starts the load on all of them at the same
//! time, and adds up what they measure ([`RunningTest`]).
//! It holds no socket of the load itself. The first Ctrl-C ends the test early and still prints the
//! figures; a second one ends the program at once.

use std::io::Write as _;

use galley_launch::{no_tls, tls_client};
use galley_protocol::harmless::harmless_line;

use crate::agent_link;
use crate::credentials::Credentials;
use crate::fleet::Fleet;
use crate::live_report::{LiveReport, ReportPublisher};
use crate::load_arguments::LoadArguments;
use crate::load_failure::LoadFailure;
use crate::load_settings::{LoadSettings, MEALS};
use crate::push_lag::Buckets;
use crate::report::Report;
use crate::run_progress::RunProgress;
use crate::running_test::RunningTest;
use crate::stop_signals::StopSignals;
use crate::system_limits;
use crate::tested_gateway::TestedGateway;

/// Runs the test, and serves its report meanwhile if that is asked for.
pub async fn run(arguments: &LoadArguments) -> Result<Report, LoadFailure> {
    let live = LiveReport::bind(arguments)?;
    let publisher = live.publisher();
    for address in &live.addresses {
        let _ = writeln!(std::io::stderr(), "{address}");
    }
    live.beside(test(arguments, publisher)).await
}

async fn test(
    arguments: &LoadArguments,
    publisher: Option<ReportPublisher>,
) -> Result<Report, LoadFailure> {
    let credentials = Credentials::of(arguments)?;
    let settings = LoadSettings::of(arguments, &credentials)?;
    if settings.sockets > 0 && !credentials.has_heroes() {
        return Err(LoadFailure::Usage(
            "the sockets of heroes need tokens of their own: add --jwt-secret-file, or open none \
             with --sockets 0"
                .to_owned(),
        ));
    }
    let tls = match &settings.tls {
        Some(tls) => tls_client(tls.ca_file.as_deref()).map_err(LoadFailure::Usage)?,
        None => no_tls(),
    };
    let gateways =
        arguments.url.iter().map(|url| TestedGateway::at(url, &tls, credentials.staff()));
    let gateways = gateways.collect::<Result<Vec<_>, _>>()?;
    for gateway in &gateways {
        gateway.is_ready().await?;
    }
    let secret = agent_link::secret(arguments.agent_secret_file.as_deref())?;
    if let Some(warning) = system_limits::tracking(settings.connections()) {
        let _ = writeln!(std::io::stderr(), "warning: {}", harmless_line(&warning));
    }
    let progress = RunProgress::new(settings.sockets + settings.dashboards);
    let heroes = if let Some(heroes) = credentials.first_heroes(settings.heroes) {
        heroes
    } else {
        progress.step(&format!("making {} heroes and {MEALS} meals", settings.heroes));
        gateways[0].heroes(settings.heroes, arguments.seed).await?
    };
    let meals = gateways[0].meals(MEALS, arguments.seed).await?;
    let before = push_lags(&gateways).await;
    progress.step(&format!(
        "opening {} sockets from {} processes",
        settings.sockets + settings.dashboards,
        settings.processes
    ));
    let plans = settings.plans(arguments, &heroes, &meals, &credentials);
    let fleet = Fleet::start(&plans, &arguments.agents, secret.as_deref())?;
    let service = gateways[0].programs().await;
    let mut run = RunningTest::begin(arguments, &settings, publisher, service, fleet);
    let mut stop = StopSignals::listen()?;
    run.drive(&progress, &mut stop).await?;
    // Programs that have just started tell of themselves within a second.
    run.service = gateways[0].programs().await;
    if !run.interrupted && run.aborted.is_none() {
        progress.step("comparing with the database");
        tokio::select! {
            compared = run.compare(&gateways[0]) => compared?,
            () = stop.asked() => run.interrupted = true,
        }
    }
    let after = push_lags(&gateways).await;
    let readings: Vec<_> =
        before.into_iter().zip(after).filter_map(|(before, after)| before.zip(after)).collect();
    progress.clear();
    Ok(run.report(&readings))
}

async fn push_lags(gateways: &[TestedGateway]) -> Vec<Option<Buckets>> {
    let mut readings = Vec::new();
    for gateway in gateways {
        readings.push(gateway.push_lag().await);
    }
    readings
}
