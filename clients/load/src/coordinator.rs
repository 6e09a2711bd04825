//! The coordinator: runs a test from start to report.
//!
//! It creates heroes and meals, starts the engines, starts the load on all of them at the same
//! time, adds up what they measure and compares the states known to the sockets with the database.
//! It holds no socket of the load itself. The first Ctrl-C ends the test early and still prints the
//! figures; a second one ends the program at once.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use galley_launch::{no_tls, tls_client};
use galley_protocol::harmless::harmless_line;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::agent_link;
use crate::credentials::Credentials;
use crate::fleet::Fleet;
use crate::live_report::LiveReport;
use crate::load_arguments::LoadArguments;
use crate::load_failure::LoadFailure;
use crate::load_settings::{LoadSettings, MEALS};
use crate::message::{EngineMessage, EngineOrder, MemoryUse, RunDone};
use crate::push_lag::Buckets;
use crate::report::{Outcome, Report, required};
use crate::requirement::Requirement;
use crate::run_progress::RunProgress;
use crate::system_limits;
use crate::tested_gateway::{ServiceProgram, TestedGateway};
use crate::timeline::Timeline;

/// Maximum unsettled orders of one engine that are compared with the database; the sockets of the
/// others count as unchecked.
const MAX_COMPARED: usize = 20_000;

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
    publisher: Option<watch::Sender<Option<Arc<Report>>>>,
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
    let heroes = match credentials.first_heroes(settings.heroes) {
        Some(heroes) => heroes,
        None => {
            progress.step(&format!("making {} heroes and {MEALS} meals", settings.heroes));
            gateways[0].heroes(settings.heroes, arguments.seed).await?
        }
    };
    let meals = gateways[0].meals(MEALS, arguments.seed).await?;
    let before = push_lags(&gateways).await;
    progress.step(&format!(
        "opening {} sockets from {} processes",
        settings.sockets + settings.dashboards,
        settings.processes
    ));
    let mut run = Run {
        arguments,
        settings: &settings,
        publisher,
        service: gateways[0].programs().await,
        opened: 0,
        aborted: None,
        started: SystemTime::now(),
        began: Instant::now(),
        fleet: Fleet::start(
            &settings.plans(arguments, &heroes, &meals, &credentials),
            &arguments.agents,
            secret.as_deref(),
        )?,
        timeline: Timeline::begin(settings.processes),
        load: None,
        interrupted: false,
        memory: Vec::new(),
        done: Vec::new(),
    };
    let mut stop = Stop::listen()?;
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

/// The signals that stop a test: SIGINT (Ctrl-C) and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self, LoadFailure> {
        let listen = |kind| {
            signal(kind).map_err(|error| LoadFailure::failed("cannot receive signals", &error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal. Cancel-safe.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

struct Run<'a> {
    arguments: &'a LoadArguments,
    settings: &'a LoadSettings,
    publisher: Option<watch::Sender<Option<Arc<Report>>>>,
    service: Vec<ServiceProgram>,
    /// Sockets that were opened before the load.
    opened: u64,
    /// The requirement that ended the test early.
    aborted: Option<String>,
    fleet: Fleet,
    timeline: Timeline,
    started: SystemTime,
    began: Instant,
    /// Start of the load, once every engine is ready.
    load: Option<Instant>,
    interrupted: bool,
    memory: Vec<MemoryUse>,
    done: Vec<RunDone>,
}

impl Run<'_> {
    /// Processes messages from the first socket until every engine is done.
    async fn drive(&mut self, progress: &RunProgress, stop: &mut Stop) -> Result<(), LoadFailure> {
        let (processes, duration) = (self.settings.processes, self.arguments.load_time());
        while self.done.len() < processes {
            let (engine, message) = tokio::select! {
                message = self.fleet.next() => message?,
                () = stop.asked() => {
                    if self.interrupted {
                        return Err(LoadFailure::Interrupted);
                    }
                    self.interrupted = true;
                    // An engine that has just ended does not read this, and needs no order to stop.
                    let _ = self.fleet.send(EngineOrder::Stop);
                    continue;
                }
            };
            match message {
                EngineMessage::Tick(tick) => {
                    let second = self.timeline.take(engine, &tick);
                    let Some(second) = second else { continue };
                    let open = self.timeline.open();
                    match self.load.map(|load| load.elapsed()) {
                        Some(elapsed) if elapsed < duration => {
                            progress.load(elapsed, duration, open, &second, &self.timeline.whole);
                        }
                        Some(_) => progress.waiting(),
                        None => progress.sockets(open),
                    }
                    self.publish();
                }
                EngineMessage::Ready(memory) => {
                    self.memory.push(memory);
                    if self.memory.len() == processes {
                        self.fleet.send(EngineOrder::Begin)?;
                        self.load = Some(Instant::now());
                        self.opened = self.timeline.whole.counts.opened;
                        progress.step(&format!(
                            "{} sockets are open after {:.1} s",
                            self.opened,
                            self.began.elapsed().as_secs_f64()
                        ));
                    }
                }
                EngineMessage::Done(done) => self.done.push(done),
            }
        }
        self.timeline.close();
        Ok(())
    }

    /// Compares the versions known to the sockets with the database, and counts the differences as
    /// lost.
    async fn compare(&mut self, gateway: &TestedGateway) -> Result<(), LoadFailure> {
        let counts = &mut self.timeline.whole.counts;
        for done in &self.done {
            let compared = done.unsettled.len().min(MAX_COMPARED);
            let (unsettled, beyond) = done.unsettled.split_at(compared);
            counts.unchecked += beyond.iter().flat_map(|(_, sockets)| sockets).sum::<u64>();
            let versions = gateway.versions(unsettled.iter().map(|(id, _)| *id)).await?;
            for ((_, sockets), truth) in unsettled.iter().zip(versions) {
                let newest = truth.and_then(|version| usize::try_from(version).ok());
                // `sockets` holds, for each version, the number of sockets that know it as the
                // newest.
                let know = newest.and_then(|version| sockets.get(version)).copied().unwrap_or(0);
                counts.lost += sockets.iter().sum::<u64>() - know;
            }
            let versions = gateway.versions(done.settled.iter().map(|(id, _)| *id)).await?;
            // All sockets agree on the version of a settled order, so a difference counts once.
            let wrong = done
                .settled
                .iter()
                .zip(versions)
                .filter(|((_, known), truth)| Some(i64::from(*known)) != *truth);
            counts.lost += wrong.count() as u64;
        }
        Ok(())
    }

    /// Publishes the figures so far, and ends the test if they break a requirement.
    fn publish(&mut self) {
        let grace = self.arguments.abort_grace;
        let judges = self.arguments.abort_on_fail
            && self.aborted.is_none()
            && self.load.is_some_and(|load| load.elapsed() >= grace);
        if !judges && self.publisher.is_none() {
            return;
        }
        let report = self.report(&[]);
        if judges {
            let broken = |it: &Requirement| it.is_broken(report.figure(it.name()));
            self.aborted =
                required(self.arguments).iter().find(|it| broken(it)).map(ToString::to_string);
            if self.aborted.is_some() {
                // An engine that has just ended does not read this, and needs no order to stop.
                let _ = self.fleet.send(EngineOrder::Stop);
            }
        }
        if let Some(publisher) = &self.publisher {
            publisher.send_replace(Some(Arc::new(report)));
        }
    }

    /// Returns the report of the test so far.
    fn report(&self, readings: &[(Buckets, Buckets)]) -> Report {
        let duration = self.arguments.load_time();
        let load = self.load.map_or(Duration::ZERO, |load| load.elapsed().min(duration));
        let outcome = Outcome {
            started: self.started,
            ramp: self.load.map_or_else(|| self.began.elapsed(), |load| load - self.began),
            load,
            interrupted: self.interrupted,
            aborted: self.aborted.clone(),
            opened: if self.load.is_some() { self.opened } else { self.timeline.open() },
            memory: &self.memory,
            processor_ms: self.done.iter().map(|done| done.processor_ms).sum(),
            hosts: &self.fleet.hosts,
            service: &self.service,
            push_lag: Buckets::between(readings),
            timeline: &self.timeline,
        };
        Report::of(self.arguments, self.settings, outcome)
    }
}
