//! One round of faults: start, break, repair, become quiet, check.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::FaultDeployment;
use super::breaker::Breaker;
use super::checker::{self, Breach, CheckedRule};
use super::crowd::ClientCrowd;
use super::fault_schedule::plan;
use super::fault_stage::FaultStage;
use super::record::{RecordedEvent, Recorder};
use super::stored;
use crate::patience::within;

/// The time after the last fault within which everything must be idle, on a machine that starts
/// programs at once; as much as a start takes here is added.
const REST: Duration = Duration::from_secs(10);
/// The time to wait for that, to distinguish slow from stuck.
const PATIENCE: Duration = Duration::from_mins(1);
/// The violations of one rule that a message names; the others are only counted.
const MAX_NAMED: usize = 5;

/// The settings of a round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The deployment to break.
    pub deployment: FaultDeployment,
    /// The seed, which determines the faults.
    pub seed: u64,
    /// The length of the faults.
    pub length: Duration,
    /// True to keep the record and the logs even if no promise was broken.
    pub keep: bool,
}

/// A round that broke no promise.
#[derive(Clone, Debug)]
pub struct RoundReport {
    round: Round,
    steps: usize,
    orders: usize,
    events: usize,
    slowest_start: Duration,
    quiet_after: Duration,
    kept: Option<PathBuf>,
}

/// A round that broke promises.
#[derive(Debug)]
pub struct RoundFailure {
    round: Round,
    violations: Vec<Breach>,
    amiss: Vec<String>,
    journal: String,
    folder: PathBuf,
}

impl Round {
    /// Plays the round.
    ///
    /// # Errors
    /// The broken promises. The record and the logs of the programs are kept.
    pub async fn play(self) -> Result<RoundReport, RoundFailure> {
        println!("faults: {self}");
        let folder = tempfile::Builder::new().prefix("galley-faults-").tempdir().expect("a folder");
        let stage = FaultStage::start(self.deployment, folder.path()).await;
        let (slowest_start, database) = (stage.slowest_start, stage.database().to_owned());
        let recorder = Recorder::begin(&folder.path().join("record.jsonl"));
        let mut crowd =
            ClientCrowd::begin(&stage.urls(), &database, recorder.clone(), self.seed).await;
        let mut breaker = Breaker::new(stage, recorder.clone(), self.seed);
        let steps = plan(self.seed, self.length, self.deployment);
        breaker.follow(&steps, self.length).await;
        let mut amiss = Vec::new();
        amiss.extend(breaker.mend().await.err());
        crowd.calm_down();
        let quiet = crowd.become_quiet(&database, PATIENCE).await;
        let quiet_after = quiet.unwrap_or_else(|unrest| {
            amiss.push(format!("not quiet after {PATIENCE:?}:\n{unrest}"));
            PATIENCE
        });
        drop(crowd);
        amiss.extend(breaker.stage().revive().err());
        breaker.stage().keep_logs();
        let orders =
            within("the orders", stored::read(&database)).await.expect("the database is there");
        let entries = recorder.read();
        let violations = checker::check(&entries, &orders, REST + slowest_start);
        if violations.is_empty() && amiss.is_empty() {
            return Ok(RoundReport {
                round: self,
                steps: steps.len(),
                orders: orders.len(),
                events: entries
                    .iter()
                    .filter(|entry| {
                        !matches!(
                            entry.event,
                            RecordedEvent::Fault { .. } | RecordedEvent::Done { .. }
                        )
                    })
                    .count(),
                slowest_start,
                quiet_after,
                kept: self.keep.then(|| folder.keep()),
            });
        }
        let journal = std::mem::take(&mut breaker.journal);
        Err(RoundFailure { round: self, violations, amiss, journal, folder: folder.keep() })
    }
}

impl fmt::Display for Round {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deployment, seed, length, keep: _ } = self;
        write!(formatter, "{deployment:?}, seed {seed}, {} s", length.as_secs())
    }
}

impl fmt::Display for RoundReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, steps, orders, events, slowest_start, quiet_after, kept } = self;
        write!(
            formatter,
            "{round}: {steps} steps, {orders} orders, {events} events; quiet {quiet_after:.1?} after the last fault"
        )?;
        write!(formatter, " (a start takes {slowest_start:.1?})")?;
        kept.iter()
            .try_for_each(|folder| write!(formatter, "; the record is in {}", folder.display()))
    }
}

impl fmt::Display for RoundFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, violations, amiss, journal, folder } = self;
        writeln!(formatter, "{round} broke promises. What was done:\n{journal}")?;
        for amiss in amiss {
            writeln!(formatter, "{amiss}")?;
        }
        let mut rules: BTreeMap<CheckedRule, Vec<&Breach>> = BTreeMap::new();
        for violation in violations {
            rules.entry(violation.rule).or_default().push(violation);
        }
        for (rule, violations) in rules {
            writeln!(formatter, "{rule:?}: {} violations", violations.len())?;
            violations
                .iter()
                .take(MAX_NAMED)
                .try_for_each(|violation| writeln!(formatter, "  {}", violation.what))?;
        }
        write!(formatter, "the record and the logs are in {}", folder.display())
    }
}
