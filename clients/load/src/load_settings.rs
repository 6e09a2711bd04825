//! The command line with the defaults of its scenario filled in, split into one plan per engine.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::credentials::Credentials;
use crate::gateway_addresses;
use crate::load_arguments::{LoadArguments, OrderRate, Over, Scenario};
use crate::load_failure::LoadFailure;
use crate::load_stage::LinearProfile;
use crate::measures::float;
use crate::plan::{Every, PlacingPace, TlsPlan};
use crate::system_limits;

/// Default sockets of one hero; a gateway allows 64.
const SOCKETS_OF_A_HERO: usize = 50;
/// Default orders of one hero, a second and at once; a gateway takes 50 commands a second, and 100
/// at once.
const ORDERS_OF_A_HERO: f64 = 25.0;
const BURST_OF_A_HERO: usize = 50;
/// Meals that the test creates and orders.
pub const MEALS: usize = 10;

/// The load of all engines together.
#[derive(Clone, Debug)]
pub struct LoadSettings {
    /// Sockets of heroes, at most at once.
    pub sockets: usize,
    /// The sockets over time; `None` if all are opened before the load.
    pub profile: Option<LinearProfile>,
    /// Sockets of staff.
    pub dashboards: usize,
    pub heroes: usize,
    pub ordering: usize,
    /// The pace of orders; `None` if no orders are placed.
    pub pace: Option<PlacingPace>,
    /// Orders due at the same moment, periodically.
    pub burst: Option<Every<usize>>,
    /// Connections that place orders over REST; `None` if the sockets place them.
    pub rest: Option<usize>,
    /// Sockets among 1,000 that are cut at the same moment, periodically.
    pub storm: Option<Every<usize>>,
    /// True if orders have idempotency keys.
    pub keys: bool,
    /// Slow readers among 1,000 sockets.
    pub slow_permille: usize,
    /// Event streams among 1,000 sockets.
    pub stream_permille: usize,
    pub processes: usize,
    /// Local addresses to connect from; the system chooses if there are none.
    pub sources: Vec<IpAddr>,
    pub gateways: Vec<SocketAddr>,
    /// TLS, for gateways at `https://`.
    pub tls: Option<TlsPlan>,
}

impl LoadSettings {
    /// Fills in the defaults and checks that the settings fit together.
    pub fn of(arguments: &LoadArguments, credentials: &Credentials) -> Result<Self, LoadFailure> {
        let scenario = arguments.scenario;
        let (sockets, rate) = match scenario {
            Scenario::Idle => (1_000, 0.0),
            Scenario::Steady => (1_000, 100.0),
            Scenario::Burst => (1_000, 20.0),
            Scenario::Storm => (1_000, 50.0),
            Scenario::SlowReaders => (200, 200.0),
            Scenario::HotHero => (64, 200.0),
            Scenario::Firehose => (200, 300.0),
        };
        let only = |wanted: Scenario, value: usize| if scenario == wanted { value } else { 0 };
        let stages = &arguments.stage;
        let targets = stages.iter().filter_map(|stage| stage.sockets);
        let sockets = match targets.max() {
            Some(most) => most.max(arguments.sockets.unwrap_or(1)),
            None => arguments.sockets.unwrap_or(sockets),
        };
        let dashboards = arguments.dashboards.unwrap_or(only(Scenario::Firehose, 20));
        let burst = arguments.burst.unwrap_or(only(Scenario::Burst, 1_000));
        let storm = arguments.storm.map_or(only(Scenario::Storm, 1_000), permille);
        let slow_permille = arguments.slow.map_or(only(Scenario::SlowReaders, 200), permille);
        let rate = rate_of(arguments, rate)?;
        let most = rate.as_ref().map_or(f64::INFINITY, LinearProfile::most);
        let places = most > 0.0 || burst > 0;
        let rest = (places && arguments.over() == Over::Rest).then_some(arguments.connections);
        let connections = sockets + dashboards + rest.unwrap_or(0);
        let processes = processes_of(arguments, connections)?;
        let fewest = processes;
        let by_default = if scenario == Scenario::HotHero {
            fewest
        } else {
            let of_sockets = sockets.div_ceil(SOCKETS_OF_A_HERO);
            of_sockets.max(heroes_for(most, burst).min(sockets)).max(fewest)
        };
        let by_default = credentials.known_heroes().map_or(by_default, |known| known.min(sockets));
        let heroes = arguments.heroes.unwrap_or(by_default);
        let ordering = if places { arguments.ordering.unwrap_or(heroes) } else { 0 };
        let keys = arguments.keys || storm > 0;
        let gateways = gateway_addresses::resolve(arguments)?;
        let each = connections.div_ceil(arguments.agents.len().max(1));
        let settings = Self {
            sources: system_limits::sources(each, &gateways, &arguments.source)?,
            gateways,
            tls: gateway_addresses::tls(arguments)?,
            sockets,
            dashboards,
            heroes,
            ordering,
            profile: profile_of(arguments, processes),
            keys,
            stream_permille: permille(arguments.event_streams),
            pace: places.then(|| pace(arguments, rate, processes)),
            burst: (burst > 0)
                .then(|| Every { period: millis(arguments.burst_every), what: burst }),
            rest,
            storm: (storm > 0)
                .then(|| Every { period: millis(arguments.storm_every), what: storm }),
            slow_permille,
            processes,
        };
        settings.check(arguments, credentials)?;
        Ok(settings)
    }

    /// Checks that the settings fit together.
    fn check(
        &self,
        arguments: &LoadArguments,
        credentials: &Credentials,
    ) -> Result<(), LoadFailure> {
        let Self { sockets, heroes, ordering, rest, processes: fewest, .. } = self;
        let places = self.pace.is_some();
        let usage = |text: String| Err(LoadFailure::Usage(text));
        if heroes < fewest || heroes > sockets.max(fewest) {
            return usage(format!(
                "--heroes must be from {fewest}, one for each process, to {sockets}, one for each socket"
            ));
        }
        if credentials.known_heroes().is_some_and(|known| *heroes > known) {
            return usage(format!("--hero-token-file has fewer heroes than --heroes {heroes}"));
        }
        if places && !(fewest..=heroes).contains(&ordering) {
            return usage(format!(
                "--ordering must be from {fewest}, one for each process, to {heroes}, the heroes there are"
            ));
        }
        if places && rest.is_none() && sockets < fewest {
            return usage(
                "orders are placed over sockets: give some --sockets, or --over rest".to_owned(),
            );
        }
        if places && rest.is_none() && self.stream_permille == 1_000 {
            return usage("event streams place no orders: add --over rest".to_owned());
        }
        if rest.is_some_and(|rest| rest < *fewest) {
            return usage(format!("--connections must be at least {fewest}, one for each process"));
        }
        if arguments.load_time().is_zero() {
            return usage("the stages must take longer than 0s".to_owned());
        }
        Ok(())
    }

    pub fn connections(&self) -> usize {
        self.sockets + self.dashboards + self.rest.unwrap_or(0)
    }
}

/// Returns the number of heroes that may place so many orders a second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive rate")]
fn heroes_for(rate: f64, burst: usize) -> usize {
    let steady = if rate.is_finite() { (rate / ORDERS_OF_A_HERO).ceil() as usize } else { 1 };
    steady.max(burst.div_ceil(BURST_OF_A_HERO))
}

/// Returns the rate over time; `None` without a limit.
fn rate_of(
    arguments: &LoadArguments,
    by_default: f64,
) -> Result<Option<LinearProfile>, LoadFailure> {
    let by_stages = arguments.stage.iter().any(|stage| stage.rate.is_some());
    let by_default = OrderRate::PerSecond(if by_stages { 0.0 } else { by_default });
    match arguments.rate.unwrap_or(by_default) {
        OrderRate::Max if by_stages => Err(LoadFailure::Usage(
            "a stage changes a rate, and --rate max has none: leave out one".to_owned(),
        )),
        OrderRate::Max => Ok(None),
        OrderRate::PerSecond(start) => {
            let ends = arguments.stage.iter().map(|stage| (stage.duration, stage.rate));
            Ok(Some(LinearProfile::through(start, ends)))
        }
    }
}

/// Returns the sockets over time; `None` if no stage names them.
fn profile_of(arguments: &LoadArguments, processes: usize) -> Option<LinearProfile> {
    let stages = &arguments.stage;
    let ends = stages.iter().map(|stage| (stage.duration, stage.sockets.map(float_of)));
    let start = float_of(arguments.sockets.unwrap_or(processes));
    let names_them = stages.iter().any(|stage| stage.sockets.is_some());
    names_them.then(|| LinearProfile::through(start, ends))
}

/// Returns the number of engines, here or at the agents.
fn processes_of(arguments: &LoadArguments, connections: usize) -> Result<usize, LoadFailure> {
    let agents = arguments.agents.len();
    match arguments.processes.map(usize::from) {
        wanted if agents == 0 => system_limits::processes(connections, wanted),
        Some(wanted) if wanted < agents => Err(LoadFailure::Usage(format!(
            "--processes must be at least {agents}, one for each agent"
        ))),
        wanted => Ok(wanted.unwrap_or(agents)),
    }
}

fn pace(arguments: &LoadArguments, rate: Option<LinearProfile>, processes: usize) -> PlacingPace {
    match rate {
        Some(rate) => PlacingPace::Open { rate },
        None => PlacingPace::Closed {
            placers: arguments.placers.div_ceil(processes),
            in_flight: usize::from(arguments.in_flight),
        },
    }
}

fn float_of(count: usize) -> f64 {
    float(count as u64)
}

/// Returns whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
fn permille(percent: f64) -> usize {
    (percent * 10.0).round() as usize
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::LoadSettings;
    use crate::credentials::Credentials;
    use crate::load_arguments::LoadArguments;

    fn settings(words: &str) -> Result<(LoadArguments, LoadSettings), String> {
        let words = format!("galley-load {words}");
        let arguments = LoadArguments::try_parse_from(words.split_whitespace())
            .map_err(|error| error.to_string())?;
        let credentials = Credentials::of(&arguments).expect("no credentials");
        let settings = LoadSettings::of(&arguments, &credentials);
        let settings = settings.map_err(|error| error.to_string())?;
        Ok((arguments, settings))
    }

    #[test]
    fn everything_is_shared_out_and_nothing_is_lost() {
        for words in [
            "--processes 3 --sockets 1000 --heroes 7 --ordering 5 --dashboards 4",
            "--processes 4 --sockets 10 --heroes 4 --over rest --connections 9",
            "hot-hero --processes 2",
            "idle --processes 5 --sockets 99",
        ] {
            let (arguments, settings) =
                settings(words).unwrap_or_else(|error| panic!("{words}: {error}"));
            let heroes: Vec<i64> = (1..=i64::try_from(settings.heroes).expect("few")).collect();
            let credentials = Credentials::of(&arguments).expect("no credentials");
            let plans = settings.plans(&arguments, &heroes, &[1], &credentials);
            assert_eq!(
                plans.iter().map(|plan| plan.sockets).sum::<usize>(),
                settings.sockets,
                "{words}"
            );
            assert_eq!(
                plans.iter().map(|plan| plan.dashboards).sum::<usize>(),
                settings.dashboards,
                "{words}"
            );
            assert_eq!(
                plans.iter().filter_map(|plan| plan.rest).sum::<usize>(),
                settings.rest.unwrap_or(0),
                "{words}"
            );
            assert_eq!(
                plans.iter().map(|plan| plan.ordering).sum::<usize>(),
                settings.ordering,
                "{words}"
            );
            let mut shared: Vec<i64> = plans.iter().flat_map(|plan| plan.heroes.clone()).collect();
            shared.sort_unstable();
            assert_eq!(shared, heroes, "{words}: each hero is one engine's");
            for plan in plans.iter().filter(|_| settings.ordering > 0) {
                assert!(
                    (1..=plan.heroes.len()).contains(&plan.ordering),
                    "{words}: {plan:?} has nobody who orders"
                );
            }
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (words, part) in [
            ("--heroes 0", "--heroes"),
            ("--sockets 10 --heroes 11", "--heroes"),
            ("--heroes 5 --ordering 6 --sockets 10", "--ordering"),
            ("--sockets 0", "--over rest"),
            ("--over rest --connections 0", "--connections"),
            ("--processes 4 --heroes 3", "one for each process"),
            ("--stage 1s:5:5 --rate max", "--rate max"),
            ("--agents a:1,b:1 --processes 1", "one for each agent"),
            ("--stage 0s:5", "longer than 0s"),
            ("--event-streams 100", "--over rest"),
            ("--url http://127.0.0.1:1,https://127.0.0.1:2", "all https://"),
            ("--url http://127.0.0.1:1,http://127.0.0.1:2/galley", "the same path"),
        ] {
            let error = settings(words).expect_err(words);
            assert!(error.contains(part), "{words}: {error}");
        }
    }
}
