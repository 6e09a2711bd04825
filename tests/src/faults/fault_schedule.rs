//! The faults of a seed and their times: a pure function.
//!
//! A lasting fault is ended by a later step of the same schedule, and its target is not broken
//! again before. Faults of different targets may overlap.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::FaultDeployment;
use super::action::{Action, FaultStep, Mischief};
use fault::{Fault, Target};

mod fault;

/// The least milliseconds between the beginnings of two faults, and the range of the most, which
/// the seed chooses: some rounds are a storm, in others the service has time to recover.
const SHORTEST: u64 = 200;
const LONGEST: std::ops::Range<u64> = 800..5_000;

/// The faults of this seed within this time, sorted by time.
#[must_use]
pub fn plan(seed: u64, length: Duration, deployment: FaultDeployment) -> Vec<FaultStep> {
    let mut random = StdRng::seed_from_u64(seed);
    let longest = random.random_range(LONGEST);
    let mut steps = Vec::new();
    let mut busy: HashMap<Target, Duration> = HashMap::new();
    let (mut at, mut promoted) = (Duration::ZERO, false);
    loop {
        at += Duration::from_millis(random.random_range(SHORTEST..longest));
        if at >= length {
            break;
        }
        let Fault { target, begin, end } = Fault::choose(deployment, &mut random);
        let is_over = begin == Action::Promote && promoted; // there is one standby
        if is_over || busy.get(&target).is_some_and(|until| *until >= at) {
            continue;
        }
        promoted |= begin == Action::Promote;
        // No step ends this fault early, so it is limited to the end of the schedule.
        let left = length.saturating_sub(at);
        let action = if let Action::Meddle(Mischief::Hold(time)) = begin {
            Action::Meddle(Mischief::Hold(time.min(left)))
        } else if let Action::MeddleWith(node, Mischief::Hold(time)) = begin {
            Action::MeddleWith(node, Mischief::Hold(time.min(left)))
        } else {
            begin
        };
        steps.push(FaultStep { at, action });
        if let Some((lasts, action)) = end {
            let until = at + lasts;
            busy.insert(target, until);
            steps.push(FaultStep { at: until, action });
        }
    }
    // Longer faults end with the schedule, because then everything is restored.
    steps.retain(|step| step.at < length);
    steps.sort_by_key(|step| step.at);
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use clap::ValueEnum as _;

    use super::plan;
    use crate::faults::FaultDeployment;
    use crate::faults::action::{Action, Component, Mischief, ServerLink};

    #[test]
    fn a_seed_has_one_schedule() {
        let length = Duration::from_mins(1);
        for deployment in FaultDeployment::value_variants() {
            let one = plan(7, length, *deployment);
            assert_eq!(one, plan(7, length, *deployment));
            assert_ne!(one, plan(8, length, *deployment));
            assert!(one.len() > 5 && one.is_sorted_by_key(|step| step.at), "{one:?}");
        }
    }

    #[test]
    fn what_is_broken_is_not_broken_again_before_it_is_mended() {
        let steps = plan(1, Duration::from_mins(10), FaultDeployment::Distributed);
        let mut away = false;
        for step in steps {
            if step.action == Action::KillRedis {
                assert!(!std::mem::replace(&mut away, true));
            } else if step.action == Action::StartRedis {
                assert!(std::mem::replace(&mut away, false));
            }
        }
    }

    #[test]
    fn each_deployment_has_the_faults_of_its_own() {
        type Kind = fn(&Action) -> bool;
        let has = |deployment, is_it: Kind| {
            plan(1, Duration::from_mins(30), deployment).iter().any(|step| is_it(&step.action))
        };
        let own: [(FaultDeployment, &[Kind]); 5] = [
            (FaultDeployment::Embedded, &[|action| matches!(action, Action::FillDisk)]),
            (
                FaultDeployment::Cluster,
                &[
                    |action| matches!(action, Action::Kill(Component::Node(_))),
                    |action| matches!(action, Action::Pause(Component::Node(_))),
                    |action| matches!(action, Action::FailOver(_)),
                    |action| matches!(action, Action::Reshard(_)),
                    |action| matches!(action, Action::MeddleWith(_, Mischief::Flush)),
                ],
            ),
            (FaultDeployment::Demoted, &[|action| matches!(action, Action::DemoteRedis { .. })]),
            (
                FaultDeployment::Standby,
                &[
                    |action| matches!(action, Action::Stall(ServerLink::Replication)),
                    |action| matches!(action, Action::Promote),
                    |action| matches!(action, Action::ForbidWriting),
                    |action| matches!(action, Action::TakeConnections),
                ],
            ),
            (
                FaultDeployment::Pooled,
                &[|action| matches!(action, Action::Kill(Component::Pooler))],
            ),
        ];
        for (deployment, faults) in own {
            assert!(faults.iter().all(|is_it| has(deployment, *is_it)), "{deployment:?}");
        }
    }

    #[test]
    fn each_link_of_each_process_is_disturbed_alone_and_sometimes_for_long() {
        let steps = plan(1, Duration::from_hours(1), FaultDeployment::Distributed);
        let mut stalled: HashMap<ServerLink, Duration> = HashMap::new();
        let mut longest = HashMap::new();
        for step in steps {
            if let Action::Stall(link) = step.action {
                stalled.insert(link, step.at);
            } else if let Action::Free(link) = step.action
                && let Some(since) = stalled.remove(&link)
            {
                let longest: &mut Duration = longest.entry(link).or_default();
                *longest = step.at.saturating_sub(since).max(*longest);
            }
        }
        assert_eq!(longest.len(), 8, "{longest:?}");
        assert!(longest.values().any(|time| *time > Duration::from_mins(1)), "{longest:?}");
        assert!(longest.values().all(|time| *time <= Duration::from_mins(2)), "{longest:?}");
    }
}
