//! A running test: takes the messages of the engines, publishes the figures so far, and compares
//! the states known to the sockets with the database in the end.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::fleet::Fleet;
use crate::live_report::ReportPublisher;
use crate::load_arguments::LoadArguments;
use crate::load_failure::LoadFailure;
use crate::load_settings::LoadSettings;
use crate::message::{EngineMessage, EngineOrder, MemoryUse, RunDone};
use crate::push_lag::Buckets;
use crate::report::{Outcome, Report, required};
use crate::requirement::Requirement;
use crate::run_progress::RunProgress;
use crate::stop_signals::StopSignals;
use crate::tested_gateway::{ServiceProgram, TestedGateway};
use crate::timeline::Timeline;

/// Maximum unsettled orders of one engine that are compared with the database; the sockets of the
/// others count as unchecked.
const MAX_COMPARED: usize = 20_000;

/// A test from its first socket to its report.
pub struct RunningTest<'a> {
    arguments: &'a LoadArguments,
    settings: &'a LoadSettings,
    publisher: Option<ReportPublisher>,
    /// The programs of the tested service.
    pub service: Vec<ServiceProgram>,
    /// Sockets that were opened before the load.
    opened: u64,
    /// The requirement that ended the test early.
    pub aborted: Option<String>,
    fleet: Fleet,
    timeline: Timeline,
    started: SystemTime,
    began: Instant,
    /// Start of the load, once every engine is ready.
    load: Option<Instant>,
    pub interrupted: bool,
    memory: Vec<MemoryUse>,
    done: Vec<RunDone>,
}

impl<'a> RunningTest<'a> {
    /// Begins with engines that open their sockets.
    pub fn begin(
        arguments: &'a LoadArguments,
        settings: &'a LoadSettings,
        publisher: Option<ReportPublisher>,
        service: Vec<ServiceProgram>,
        fleet: Fleet,
    ) -> Self {
        Self {
            arguments,
            settings,
            publisher,
            service,
            opened: 0,
            aborted: None,
            fleet,
            timeline: Timeline::begin(settings.processes),
            started: SystemTime::now(),
            began: Instant::now(),
            load: None,
            interrupted: false,
            memory: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Processes messages from the first socket until every engine is done.
    pub async fn drive(
        &mut self,
        progress: &RunProgress,
        stop: &mut StopSignals,
    ) -> Result<(), LoadFailure> {
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
    pub async fn compare(&mut self, gateway: &TestedGateway) -> Result<(), LoadFailure> {
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
    pub fn report(&self, readings: &[(Buckets, Buckets)]) -> Report {
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
