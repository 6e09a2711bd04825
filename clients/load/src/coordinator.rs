//! A test from its beginning to its report.
//!
//! The coordinator makes heroes and meals, starts the engines, lets them begin together, adds up
//! what they measure and compares what the sockets know with the database. It opens no socket of
//! the load itself. Ctrl-C ends the test early with the figures so far; a second one ends the
//! program.

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::gateway::Gateway;
use crate::limits;
use crate::message::{Done, Memory, Message, Order};
use crate::progress::Progress;
use crate::push_lag::Buckets;
use crate::report::{Outcome, Report};
use crate::settings::{MEALS, Settings};
use crate::timeline::Timeline;

/// The most orders that are compared with the database one by one; beyond, they count as unchecked.
const MAX_COMPARED: usize = 20_000;

/// Makes the test.
///
/// # Errors
/// It cannot be made.
pub async fn run(arguments: &Arguments) -> Result<Report, Failure> {
    let settings = Settings::of(arguments)?;
    let gateways = arguments.url.iter().map(Gateway::at).collect::<Result<Vec<_>, _>>()?;
    for gateway in &gateways {
        gateway.is_ready().await?;
    }
    if let Some(warning) = limits::tracking(settings.connections()) {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let progress = Progress::new(settings.sockets + settings.dashboards);
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
        fleet: Fleet::start(&settings.plans(arguments, &heroes, &meals))?,
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

async fn push_lags(gateways: &[Gateway]) -> Vec<Option<Buckets>> {
    let mut readings = Vec::new();
    for gateway in gateways {
        readings.push(gateway.push_lag().await);
    }
    readings
}

/// Ctrl-C, or SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::failed("cannot hear signals", &error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits until somebody asks to stop. Safe to drop while it waits.
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
    /// When the engines began together.
    load: Option<Instant>,
    interrupted: bool,
    memory: Vec<Memory>,
    done: Vec<Done>,
}

impl Run {
    /// From the first socket to the last message.
    async fn drive(
        &mut self,
        settings: &Settings,
        duration: Duration,
        progress: &Progress,
        stop: &mut Stop,
    ) -> Result<(), Failure> {
        while self.done.len() < settings.processes {
            let (engine, message) = tokio::select! {
                message = self.fleet.next() => message?,
                () = stop.asked() => {
                    if self.interrupted {
                        return Err(Failure::Interrupted);
                    }
                    self.interrupted = true;
                    // One that has just ended hears nothing, and has told all.
                    let _ = self.fleet.tell(Order::Stop);
                    continue;
                }
            };
            match message {
                Message::Tick(tick) => {
                    let second = self.timeline.take(engine, &tick);
                    progress.sockets(self.timeline.open());
                    if let (Some(second), Some(load)) = (second, self.load) {
                        progress.load(load.elapsed(), duration, &second, &self.timeline.whole);
                    }
                }
                Message::Ready(memory) => {
                    self.memory.push(memory);
                    if self.memory.len() == settings.processes {
                        self.fleet.tell(Order::Begin)?;
                        self.load = Some(Instant::now());
                        let open = self.timeline.whole.counts.opened;
                        progress.step(&format!(
                            "{open} sockets are open after {:.1} s",
                            self.began.elapsed().as_secs_f64()
                        ));
                    }
                }
                Message::Done(done) => self.done.push(done),
            }
        }
        self.timeline.close();
        Ok(())
    }

    /// Compares what the sockets know of the orders with the database.
    async fn compare(&mut self, gateway: &Gateway) -> Result<(), Failure> {
        let counts = &mut self.timeline.whole.counts;
        for done in &self.done {
            let compared = done.unsettled.len().min(MAX_COMPARED);
            let (unsettled, beyond) = done.unsettled.split_at(compared);
            counts.unchecked += beyond.iter().flat_map(|(_, sockets)| sockets).sum::<u64>();
            let versions = gateway.versions(unsettled.iter().map(|(id, _)| *id)).await?;
            for ((_, sockets), truth) in unsettled.iter().zip(versions) {
                let newest = truth.and_then(|version| usize::try_from(version).ok());
                let know = newest.and_then(|version| sockets.get(version)).copied().unwrap_or(0);
                counts.lost += sockets.iter().sum::<u64>() - know;
            }
            let versions = gateway.versions(done.settled.iter().map(|(id, _)| *id)).await?;
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
