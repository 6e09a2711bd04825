//! Which faults come when: a pure function of a seed.
//!
//! What is broken for a while is mended by a later step of the same schedule, and is not broken again before. Faults of
//! different parts overlap as it happens.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::Deployment;
use super::action::{Action, Link, Mischief, Obstacle, Part, Step};

/// The least milliseconds between the beginnings of two faults, and the most, which are the seed's: some rounds are a storm, in
/// others what is mended has time to work.
const SHORTEST: u64 = 200;
const LONGEST: std::ops::Range<u64> = 800..5_000;

/// What cannot be broken twice at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    Part(Part),
    Redis,
    Postgres,
    Link(Link),
    Nothing,
}

/// The faults of this seed within a time, in the order of their moments.
#[must_use]
pub fn plan(seed: u64, length: Duration, deployment: Deployment) -> Vec<Step> {
    let mut random = StdRng::seed_from_u64(seed);
    let longest = random.random_range(LONGEST);
    let mut steps = Vec::new();
    let mut busy: HashMap<Target, Duration> = HashMap::new();
    let mut at = Duration::ZERO;
    loop {
        at += Duration::from_millis(random.random_range(SHORTEST..longest));
        if at >= length {
            break;
        }
        let (target, begin, end) = match deployment {
            Deployment::Distributed => distributed(&mut random),
            Deployment::Embedded => embedded(&mut random),
        };
        if busy.get(&target).is_some_and(|until| *until >= at) {
            continue;
        }
        // Nothing ends this one early: it lasts as long as the schedule at most.
        let action = if let Action::Meddle(Mischief::Hold(time)) = begin {
            Action::Meddle(Mischief::Hold(time.min(length.saturating_sub(at))))
        } else {
            begin
        };
        steps.push(Step { at, action });
        if let Some((lasts, action)) = end {
            let until = at + lasts;
            busy.insert(target, until);
            steps.push(Step { at: until, action });
        }
    }
    // Whatever would last longer ends with the schedule: then everything is mended.
    steps.retain(|step| step.at < length);
    steps.sort_by_key(|step| step.at);
    steps
}

type Fault = (Target, Action, Option<(Duration, Action)>);

fn distributed(random: &mut StdRng) -> Fault {
    let parts = [Part::Gateway(0), Part::Gateway(1), Part::Worker(0), Part::Worker(1)];
    let links = [Link::GatewaysToPostgres, Link::WorkersToPostgres, Link::GatewaysToRedis, Link::WorkersToRedis];
    match random.random_range(0..100) {
        0..30 => process(*parts.choose(random).expect("there are some"), random),
        30..36 => (Target::Redis, Action::KillRedis, Some((millis(random, 100..6_000), Action::StartRedis))),
        36..40 => (Target::Redis, Action::FillRedis, Some((millis(random, 1_000..5_000), Action::EmptyRedis))),
        40..60 => (Target::Nothing, Action::Meddle(mischief(random)), None),
        60..66 => (Target::Postgres, Action::CrashPostgres, Some((millis(random, 100..5_000), Action::StartPostgres))),
        66..69 => (Target::Postgres, Action::FillDisk, Some((millis(random, 1_000..4_000), Action::EmptyDisk))),
        69..80 => (Target::Nothing, Action::Obstruct(obstacle(random)), None),
        _ => {
            let link = *links.choose(random).expect("there are some");
            let lasts = millis(random, 500..6_000);
            let free = Some((lasts, Action::Free(link)));
            match random.random_range(0..4) {
                0 => (Target::Nothing, Action::Cut(link), None),
                1 => (Target::Link(link), Action::Slow(link, millis(random, 20..400)), free),
                2 => (Target::Link(link), Action::Mute(link), free),
                _ => (Target::Link(link), Action::Stall(link), free),
            }
        }
    }
}

fn embedded(random: &mut StdRng) -> Fault {
    if random.random_bool(0.2) {
        let lasts = millis(random, 500..3_000);
        return (Target::Part(Part::Gateway(0)), Action::FillDisk, Some((lasts, Action::EmptyDisk)));
    }
    process(Part::Gateway(0), random)
}

fn process(part: Part, random: &mut StdRng) -> Fault {
    let target = Target::Part(part);
    match random.random_range(0..10) {
        0..5 => (target, Action::Kill(part), Some((millis(random, 50..3_000), Action::Start(part)))),
        5..6 => (target, Action::Retire(part), Some((millis(random, 1_500..4_000), Action::Start(part)))),
        _ => (target, Action::Pause(part), Some((millis(random, 1_000..8_000), Action::Continue(part)))),
    }
}

fn mischief(random: &mut StdRng) -> Mischief {
    match random.random_range(0..9) {
        0 => Mischief::Flush,
        1 => Mischief::DestroyGroup,
        2 => Mischief::DeleteStream,
        3 => Mischief::KillSubscribers,
        4 => Mischief::KillClients,
        5 => Mischief::Hold(millis(random, 500..5_000)),
        6 => Mischief::StrangeEntries,
        7 => Mischief::OldEntries,
        _ => Mischief::StrangeMessages,
    }
}

fn obstacle(random: &mut StdRng) -> Obstacle {
    match random.random_range(0..5) {
        0 => Obstacle::EndAll,
        1 => Obstacle::EndLiveness,
        2 => Obstacle::LockTable(millis(random, 500..10_000)),
        _ => Obstacle::LockRows(millis(random, 500..10_000)),
    }
}

fn millis(random: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::plan;
    use crate::faults::Deployment;
    use crate::faults::action::Action;

    #[test]
    fn a_seed_has_one_schedule() {
        let length = Duration::from_mins(1);
        for deployment in [Deployment::Distributed, Deployment::Embedded] {
            let one = plan(7, length, deployment);
            assert_eq!(one, plan(7, length, deployment));
            assert_ne!(one, plan(8, length, deployment));
            assert!(one.len() > 5 && one.is_sorted_by_key(|step| step.at), "{one:?}");
        }
    }

    #[test]
    fn what_is_broken_is_not_broken_again_before_it_is_mended() {
        let steps = plan(1, Duration::from_mins(10), Deployment::Distributed);
        let mut away = false;
        for step in steps {
            if step.action == Action::KillRedis {
                assert!(!std::mem::replace(&mut away, true));
            } else if step.action == Action::StartRedis {
                assert!(std::mem::replace(&mut away, false));
            }
        }
    }
}
