//! The coordinator: runs a test from start to report.
//!
//! It creates heroes and meals, starts the engines, starts the load on all of them at the same
//! time, adds up what they measure and compares the states known to the sockets with the database.
//! It holds no socket of the load itself. The first Ctrl-C ends the test early and still prints the
//! figures; a second one ends the program at once.

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime};

use galley_launch::{no_tls, tls_client};
use galley_protocol::harmless::harmless_line;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::credentials::Credentials;
use crate::fleet::Fleet;
use crate::load_arguments::LoadArguments;
use crate::load_failure::LoadFailure;
use crate::load_settings::{LoadSettings, MEALS};
use crate::message::{EngineMessage, EngineOrder, MemoryUse, RunDone};
use crate::push_lag::Buckets;
use crate::report::{Outcome, Report};
use crate::run_progress::RunProgress;
use crate::system_limits;
use crate::tested_gateway::TestedGateway;
use crate::timeline::Timeline;

/// Maximum unsettled orders of one engine that are compared with the database; the sockets of the
/// others count as unchecked.
const MAX_COMPARED: usize = 20_000;

pub async fn run(arguments: &LoadArguments) -> Result<Report, LoadFailure> {
    let settings = LoadSettings::of(arguments)?;
    let credentials = Credentials::of(arguments)?;
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
    if let Some(warning) = system_limits::tracking(settings.connections()) {
        let _ = writeln!(std::io::stderr(), "warning: {}", harmless_line(&warning));
    }
    let progress = RunProgress::new(settings.sockets + settings.dashboards);
    progress.step(&format!("making {} heroes and {MEALS} meals", settings.heroes));
    let heroes = gateways[0].heroes(settings.heroes, arguments.seed).await?;
    let meals = gateways[0].meals(MEALS, arguments.seed).await?;
    let before = push_lags(&gateways).await;
    progress.step(&format!(
        "opening {} sockets from {} processes",
        settings.sockets + settings.dashboards,
        settings.processes
    ));
    let mut run = Run {
        started: SystemTime::now(),
        began: Instant::now(),
        fleet: Fleet::start(&settings.plans(arguments, &heroes, &meals, &credentials))?,
        timeline: Timeline::begin(settings.processes),
        load: None,
        interrupted: false,
        memory: Vec::new(),
        done: Vec::new(),
    };
    let mut stop = Stop::listen()?;
    run.drive(&settings, arguments.duration, &progress, &mut stop).await?;
    if !run.interrupted {
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
    Ok(Report::of(arguments, &settings, run.outcome(&readings, arguments.duration)))
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

struct Run {
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

impl Run {
    /// Processes messages from the first socket until every engine is done.
    async fn drive(
        &mut self,
        settings: &LoadSettings,
        duration: Duration,
        progress: &RunProgress,
        stop: &mut Stop,
    ) -> Result<(), LoadFailure> {
        while self.done.len() < settings.processes {
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
                    progress.sockets(self.timeline.open());
                    if let (Some(second), Some(load)) = (second, self.load) {
                        progress.load(load.elapsed(), duration, &second, &self.timeline.whole);
                    }
                }
                EngineMessage::Ready(memory) => {
                    self.memory.push(memory);
                    if self.memory.len() == settings.processes {
                        self.fleet.send(EngineOrder::Begin)?;
                        self.load = Some(Instant::now());
                        let open = self.timeline.whole.counts.opened;
                        progress.step(&format!(
                            "{open} sockets are open after {:.1} s",
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

    fn outcome(self, readings: &[(Buckets, Buckets)], duration: Duration) -> Outcome {
        let load = self.load.map_or(Duration::ZERO, |load| load.elapsed().min(duration));
        Outcome {
            started: self.started,
            ramp: self.load.map_or_else(|| self.began.elapsed(), |load| load - self.began),
            load,
            interrupted: self.interrupted,
            memory: self.memory,
            processor_ms: self.done.iter().map(|done| done.processor_ms).sum(),
            push_lag: Buckets::between(readings),
            timeline: self.timeline,
        }
    }
}
