//! Executes a schedule on a stage, and ends all faults at the end.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::action::{Action, Component, FaultStep};
use super::fault_stage::FaultStage;
use super::meddler::Meddler;
use super::record::{RecordedEvent, Recorder};
use crate::program::Signal;

/// Breaks a stage.
#[derive(Debug)]
pub struct Breaker {
    stage: FaultStage,
    meddler: Option<Meddler>,
    recorder: Recorder,
    /// The actions so far, one per line.
    pub journal: String,
}

impl Breaker {
    /// A breaker of this stage.
    #[must_use]
    pub fn new(stage: FaultStage, recorder: Recorder, seed: u64) -> Self {
        let meddler =
            stage.servers.as_ref().map(|servers| Meddler::new(&servers.postgres.url(), seed));
        Self { stage, meddler, recorder, journal: String::new() }
    }

    /// The stage.
    pub fn stage(&mut self) -> &mut FaultStage {
        &mut self.stage
    }

    /// Executes the schedule, and waits until this time has passed.
    pub async fn follow(&mut self, steps: &[FaultStep], length: Duration) {
        let began = Instant::now();
        for step in steps {
            sleep_until(began + step.at).await;
            self.recorder.note(RecordedEvent::Fault { action: step.action });
            let effect = match self.act(step.action).await {
                Ok(()) => String::new(),
                Err(error) => format!(", without effect: {error}"),
            };
            let text =
                format!("{:>7.3} s {:?}{effect}", began.elapsed().as_secs_f64(), step.action);
            writeln!(self.journal, "{text}").expect("writing to memory does not fail");
            self.recorder.note(RecordedEvent::Done { action: step.action, step: text });
        }
        sleep_until(began + length).await;
    }

    /// Ends every fault: all servers and programs run.
    ///
    /// # Errors
    /// If a program has ended by itself.
    pub async fn mend(&mut self) -> Result<(), String> {
        self.stage.disk.empty();
        if let (Some(servers), Some(meddler)) = (&mut self.stage.servers, &mut self.meddler) {
            servers.mend(meddler).await?;
        }
        self.stage.revive()
    }

    async fn act(&mut self, action: Action) -> Result<(), String> {
        if let Action::Kill(part @ (Component::Gateway(_) | Component::Worker(_))) = action {
            self.stage.kill(part);
        } else if let Action::Start(part @ (Component::Gateway(_) | Component::Worker(_))) = action
        {
            self.stage.start_again(part);
        } else if let Action::Retire(part) = action {
            self.stage.signal(part, Signal::TERM)?;
        } else if let Action::Pause(part @ (Component::Gateway(_) | Component::Worker(_))) = action
        {
            self.stage.signal(part, Signal::STOP)?;
        } else if let Action::Continue(part @ (Component::Gateway(_) | Component::Worker(_))) =
            action
        {
            self.stage.signal(part, Signal::CONT)?;
        } else if action == Action::FillDisk {
            self.stage.disk.fill()?;
        } else {
            if action == Action::EmptyDisk {
                self.stage.disk.empty();
            }
            self.act_on_servers(action).await?;
        }
        Ok(())
    }

    /// Applies an action to the servers; an embedded service has none.
    async fn act_on_servers(&mut self, action: Action) -> Result<(), String> {
        match (&mut self.stage.servers, &mut self.meddler) {
            (Some(servers), Some(meddler)) => servers.act(action, meddler).await,
            _ => Ok(()),
        }
    }
}
