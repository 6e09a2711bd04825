//! A random fault, with its end.

use std::ops::Range;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::faults::FaultDeployment;
use crate::faults::action::{Action, Backend, Component, Mischief, Obstacle, ServerLink};

const PARTS: [Component; 4] =
    [Component::Gateway(0), Component::Gateway(1), Component::Worker(0), Component::Worker(1)];
/// The nodes of a Redis Cluster, and the shards of Galley in it.
const NODES: usize = 6;
const SHARDS: u16 = 16;

/// The target of a fault, which has one fault at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Part(Component),
    Redis,
    Postgres,
    Link(ServerLink),
    Nothing,
}

/// A fault, with the action and the time of its end.
pub(super) struct Fault {
    pub(super) target: Target,
    pub(super) begin: Action,
    pub(super) end: Option<(Duration, Action)>,
}

impl Fault {
    /// Chooses a fault for a deployment.
    pub(super) fn choose(deployment: FaultDeployment, random: &mut StdRng) -> Self {
        if deployment == FaultDeployment::Embedded {
            return embedded(random);
        }
        match random.random_range(0..100) {
            0..28 => process(*PARTS.choose(random).expect("there are some"), random),
            28..46 => connection(deployment, random),
            46..66 => postgres(random),
            _ if deployment == FaultDeployment::Cluster => cluster(random),
            _ if deployment == FaultDeployment::Demoted && random.random_bool(0.4) => Self::once(
                Target::Redis,
                Action::DemoteRedis { disconnect: random.random_bool(0.3) },
            ),
            _ if deployment == FaultDeployment::Standby && random.random_bool(0.4) => {
                standby(random)
            }
            _ if deployment == FaultDeployment::Pooled && random.random_bool(0.2) => pooler(random),
            _ => redis(random),
        }
    }

    fn once(target: Target, begin: Action) -> Self {
        Self { target, begin, end: None }
    }

    fn lasting(target: Target, begin: Action, lasts: Duration, end: Action) -> Self {
        Self { target, begin, end: Some((lasts, end)) }
    }
}

fn embedded(random: &mut StdRng) -> Fault {
    let part = Component::Gateway(0);
    if random.random_bool(0.2) {
        return Fault::lasting(
            Target::Part(part),
            Action::FillDisk,
            millis(random, 500..3_000),
            Action::EmptyDisk,
        );
    }
    process(part, random)
}

/// Stops, kills or pauses a process.
fn process(part: Component, random: &mut StdRng) -> Fault {
    let target = Target::Part(part);
    match random.random_range(0..10) {
        0..4 => Fault::lasting(
            target,
            Action::Kill(part),
            millis(random, 50..3_000),
            Action::Start(part),
        ),
        4..7 => Fault::lasting(
            target,
            Action::Retire(part),
            millis(random, 1_000..4_000),
            Action::Start(part),
        ),
        _ => Fault::lasting(
            target,
            Action::Pause(part),
            millis(random, 1_000..8_000),
            Action::Continue(part),
        ),
    }
}

/// Disturbs the link of a single process.
fn connection(deployment: FaultDeployment, random: &mut StdRng) -> Fault {
    let part = *PARTS.choose(random).expect("there are some");
    let to_redis = deployment != FaultDeployment::Cluster && random.random_bool(0.6);
    disturbance(
        ServerLink::Of(part, if to_redis { Backend::Redis } else { Backend::Postgres }),
        random,
    )
}

fn disturbance(link: ServerLink, random: &mut StdRng) -> Fault {
    let target = Target::Link(link);
    let begin = match random.random_range(0..4) {
        0 => return Fault::once(Target::Nothing, Action::Cut(link)),
        1 => Action::Slow(link, millis(random, 20..400)),
        2 => Action::Mute(link),
        _ => Action::Stall(link),
    };
    // Mostly short, so that other faults fit in between.
    let lasts = match random.random_range(0..10) {
        0..7 => millis(random, 1_000..8_000),
        7..9 => millis(random, 8_000..40_000),
        _ => millis(random, 40_000..120_000),
    };
    Fault::lasting(target, begin, lasts, Action::Free(link))
}

fn postgres(random: &mut StdRng) -> Fault {
    let lasting = |begin, lasts, end| Fault::lasting(Target::Postgres, begin, lasts, end);
    match random.random_range(0..20) {
        0..6 => lasting(Action::CrashPostgres, millis(random, 100..5_000), Action::StartPostgres),
        6..8 => lasting(Action::FillDisk, millis(random, 1_000..4_000), Action::EmptyDisk),
        8..10 => {
            lasting(Action::ForbidWriting, millis(random, 1_000..10_000), Action::AllowWriting)
        }
        10..12 => lasting(
            Action::TakeConnections,
            millis(random, 1_000..10_000),
            Action::ReturnConnections,
        ),
        _ => Fault::once(Target::Nothing, Action::Obstruct(obstacle(random))),
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

/// Disconnects the standby, or promotes it.
fn standby(random: &mut StdRng) -> Fault {
    if random.random_bool(0.2) {
        return Fault::once(Target::Postgres, Action::Promote);
    }
    disturbance(ServerLink::Replication, random)
}

fn pooler(random: &mut StdRng) -> Fault {
    let (part, lasts) = (Component::Pooler, millis(random, 100..6_000));
    if random.random_bool(0.5) {
        return Fault::lasting(Target::Part(part), Action::Kill(part), lasts, Action::Start(part));
    }
    Fault::lasting(Target::Part(part), Action::Pause(part), lasts, Action::Continue(part))
}

fn redis(random: &mut StdRng) -> Fault {
    let lasting = |begin, lasts, end| Fault::lasting(Target::Redis, begin, lasts, end);
    match random.random_range(0..30) {
        0..6 => lasting(Action::KillRedis, millis(random, 100..6_000), Action::StartRedis),
        6..10 => lasting(Action::FillRedis, millis(random, 1_000..5_000), Action::EmptyRedis),
        _ => Fault::once(Target::Nothing, Action::Meddle(mischief(random))),
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

/// Breaks one node of the cluster; three masters tolerate only one fault at a time.
fn cluster(random: &mut StdRng) -> Fault {
    let node = random.random_range(0..NODES);
    let part = Component::Node(node);
    let meddle = |mischief| Fault::once(Target::Nothing, Action::MeddleWith(node, mischief));
    match random.random_range(0..20) {
        0..4 => Fault::lasting(
            Target::Redis,
            Action::Kill(part),
            millis(random, 100..10_000),
            Action::Start(part),
        ),
        4..8 => Fault::lasting(
            Target::Redis,
            Action::Pause(part),
            millis(random, 1_000..40_000),
            Action::Continue(part),
        ),
        8..11 => Fault::once(Target::Redis, Action::FailOver(node)),
        11..14 => Fault::once(Target::Redis, Action::Reshard(random.random_range(0..SHARDS))),
        14..17 => meddle(Mischief::Flush),
        17 => meddle(Mischief::KillSubscribers),
        18 => meddle(Mischief::KillClients),
        _ => meddle(Mischief::Hold(millis(random, 500..5_000))),
    }
}

fn millis(random: &mut StdRng, range: Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}
