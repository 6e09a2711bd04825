//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use galley_launch::{ListenAddress, SecretArguments, TokenRules};
use reqwest::Url;

use crate::action_mix::ActionMix;
use crate::load_stage::LoadStage;
use crate::requirement::Requirement;

/// Load test for Galley: very many sockets, orders at a rate that does not wait for the answers,
/// and a check that every socket saw every state.
///
/// It makes heroes and meals of its own at the gateway and leaves them there with their orders: do
/// not point it at a service whose orders matter.
#[derive(Clone, Debug, Parser)]
#[command(name = "galley-load", version, after_help = EXAMPLES)]
pub struct LoadArguments {
    /// The load to make
    #[arg(value_enum, default_value_t = Scenario::Steady)]
    pub scenario: Scenario,
    /// File of settings in TOML: each key is a flag without its dashes, `scenario` is the load to
    /// make. Flags and variables win
    #[arg(long = "scenario", value_name = "FILE")]
    pub scenario_file: Option<PathBuf>,

    /// A gateway; several share the sockets
    #[arg(long, env = "GALLEY_URL", value_name = "URL", value_delimiter = ',', default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    pub url: Vec<Url>,
    /// File with the certificate authorities to trust for `https://`, in PEM form, in place of the
    /// system's
    #[arg(long, env = "GALLEY_CA_FILE", value_name = "PATH")]
    pub ca_file: Option<PathBuf>,
    /// File with a token of staff, for gateways that ask for tokens; made from the secret when
    /// absent
    #[arg(long, env = "GALLEY_TOKEN_FILE", value_name = "PATH")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub secret: SecretArguments,
    #[command(flatten)]
    pub token_rules: TokenRules,
    /// File of heroes that exist, on each line the number of one and its token; the test makes none
    /// of its own
    #[arg(long, value_name = "PATH")]
    pub hero_token_file: Option<PathBuf>,
    /// Sockets of heroes [default: by scenario]
    #[arg(long, value_name = "COUNT")]
    pub sockets: Option<usize>,
    /// Sockets of staff that watch the whole feed [default: 20 in firehose, else 0]
    #[arg(long, value_name = "COUNT")]
    pub dashboards: Option<usize>,
    /// Heroes, among whom the sockets are shared out [default: one for each 50 sockets and each 25
    /// orders a second; one for each process in hot-hero]
    #[arg(long, value_name = "COUNT")]
    pub heroes: Option<usize>,
    /// Heroes that order; the sockets of the others only listen [default: all]
    #[arg(long, value_name = "COUNT")]
    pub ordering: Option<usize>,
    /// Sockets opened a second, each due at its moment; as many as the gateway takes when absent
    #[arg(long, value_name = "PER_S", value_parser = parse_rate)]
    pub ramp: Option<f64>,
    /// Orders a second, each due at its moment; `max` places the next when one is answered
    /// [default: by scenario]
    #[arg(long, value_name = "PER_S|max", value_parser = parse_pace)]
    pub rate: Option<OrderRate>,
    /// A stage of the load; may be given again. `30s:100` changes the sockets evenly to 100 within
    /// 30 s, `30s:100:500` the rate to 500 orders a second as well, `30s::500` the rate alone. The
    /// stages take the place of --duration; they begin at --sockets and --rate [default: at one
    /// socket for each process, and at rate 0, for those that a stage names]
    #[arg(long, value_name = "DURATION:SOCKETS[:RATE]", conflicts_with = "duration")]
    pub stage: Vec<LoadStage>,
    /// Weights of the requests that are made at --rate, such as
    /// `place=70,cancel=20,delete=5,read=5`. A request that finds no order to act on places one
    /// [default: place=1]
    #[arg(long, value_name = "KIND=WEIGHT,…")]
    pub mix: Option<ActionMix>,
    /// Event streams among the sockets of each hero, in per cent; they only listen
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = parse_percent)]
    pub event_streams: f64,
    /// Give each order an idempotency key, and repeat a request whose answer was cut off [default:
    /// in storms]
    #[arg(long)]
    pub keys: bool,
    /// Transport used to place orders [default: rest in hot-hero, else socket]
    #[arg(long, value_enum)]
    pub over: Option<Over>,
    /// Connections that place orders over REST
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    pub connections: usize,
    /// Sockets that place orders, with `--rate max`
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    pub placers: usize,
    /// Orders of each such socket that wait for their answer, with `--rate max`
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub in_flight: u16,
    /// How long orders are placed, or sockets held
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub duration: Duration,
    /// How long to wait for the last states after that, at most
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    pub settle: Duration,
    /// The simulated preparation of the worker, when it is always the same; without, the frames
    /// tell how long it took
    #[arg(long, value_name = "DURATION", value_parser = galley_launch::parse_duration)]
    pub delay: Option<Duration>,

    /// Orders at once in a burst [default: 1000 in burst, else none]
    #[arg(long, value_name = "COUNT")]
    pub burst: Option<usize>,
    /// Time from one burst to the next
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub burst_every: Duration,
    /// Sockets that are cut at once in a storm, in per cent [default: 100 in storm, else none]
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    pub storm: Option<f64>,
    /// Time from one storm to the next
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub storm_every: Duration,
    /// Sockets that read slowly, in per cent [default: 20 in slow-readers, else none]
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    pub slow: Option<f64>,
    /// Bytes a second that a slow socket reads
    #[arg(long, value_name = "BYTES", default_value_t = 4_096)]
    pub slow_rate: usize,

    /// Processes of this program, each with its part of the sockets [default: as many as the limit
    /// of open files wants]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub processes: Option<u16>,
    /// Addresses of `galley-load agent` on other machines, which then open the sockets, each its
    /// part
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub agents: Vec<String>,
    /// File of the secret that the agents ask for
    #[arg(long, value_name = "PATH")]
    pub agent_secret_file: Option<PathBuf>,
    /// Local addresses to connect from [default: 127.0.0.1, 127.0.0.2 … when the gateway is on the
    /// loopback]
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub source: Vec<IpAddr>,
    /// Seed of the random choices: which hero orders what, which sockets a storm cuts
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,

    /// Requirement on the result, such as `ack_p99<50ms`, `lost=0` or `orders_per_s>=1000`; may be
    /// given again. Exit code 3 otherwise. `lost=0` and `unanswered=0` are always required
    #[arg(long, value_name = "REQUIREMENT")]
    pub require: Vec<Requirement>,
    /// End the test, with exit code 3, once a requirement does not hold. Counts and rates that must
    /// reach a bound are looked at only in the end
    #[arg(long)]
    pub abort_on_fail: bool,
    /// How long the load lasts before --abort-on-fail looks at the requirements
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = galley_launch::parse_duration)]
    pub abort_grace: Duration,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Write the report as one HTML file, with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Address at which a page shows the report while the test runs, such as `5665`, which is
    /// 127.0.0.1:5665
    #[arg(long, value_name = "ADDRESS")]
    pub web: Option<ListenAddress>,
    /// Address at which Prometheus reads `/metrics` while the test runs
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<ListenAddress>,
}

const EXAMPLES: &str = "\
Other commands, each with --help:
  agent    open the sockets of a test whose coordinator runs on another machine (--agents)
  compare  compare two reports that --json printed

Examples:
  galley-load                                               1,000 sockets, 100 orders a second, 30 s
  galley-load idle --sockets 10000 --duration 1m            hold 10,000 sockets
  galley-load steady --rate max --over rest                 as many orders as 64 connections get answered
  galley-load burst --rate 10 --burst 5000 --burst-every 5s
  galley-load storm --sockets 5000 --storm 50 --storm-every 15s
  galley-load hot-hero --rate 500 --require ack_p99<50ms --require push_p99<100ms
  galley-load firehose --dashboards 50 --html report.html
  galley-load slow-readers --slow 30 --json > report.json
  galley-load --stage 30s:500:100 --stage 2m:500:400 --stage 30s:0:0 --mix place=8,cancel=1,read=1
  galley-load --scenario evening.toml --web 5665
  galley-load --url https://galley.example --ca-file ca.pem --jwt-secret-file secret

Exit codes: 0 all is well, 1 the test could not be made, 2 a bad command line, 3 a requirement does not hold, 130 stopped early.";

/// The load to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Sockets are opened and held
    Idle,
    /// Orders at an even rate
    Steady,
    /// Few orders, and many at once again and again
    Burst,
    /// All sockets are cut at once again and again, and resume
    Storm,
    /// Some sockets of each hero read slowly
    SlowReaders,
    /// One hero gets everything
    HotHero,
    /// Dashboards watch every order
    Firehose,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OrderRate {
    /// Orders per second.
    PerSecond(f64),
    /// A new order as soon as an earlier one is answered.
    Max,
}

/// The transport used to place orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Over {
    /// The heroes' sockets
    Socket,
    /// Connections of their own
    Rest,
}

impl LoadArguments {
    /// The duration of the load: that of all stages, if there are some.
    pub fn load_time(&self) -> Duration {
        let stages: Duration = self.stage.iter().map(|stage| stage.duration).sum();
        if self.stage.is_empty() { self.duration } else { stages }
    }

    /// The transport used to place orders. Over sockets a gateway takes few commands of one hero.
    pub fn over(&self) -> Over {
        let is_hot = self.scenario == Scenario::HotHero;
        self.over.unwrap_or(if is_hot { Over::Rest } else { Over::Socket })
    }
}

impl Scenario {
    pub fn word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.host().is_some();
    Url::parse(text).ok().filter(is_http).ok_or_else(|| {
        "must begin with http:// or https://, for example http://127.0.0.1:8080".to_owned()
    })
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e7 => Ok(rate),
        Ok(_) | Err(_) => Err("must be a number above 0".to_owned()),
    }
}

fn parse_pace(text: &str) -> Result<OrderRate, String> {
    match text {
        "max" => Ok(OrderRate::Max),
        "0" => Ok(OrderRate::PerSecond(0.0)),
        text => parse_rate(text)
            .map(OrderRate::PerSecond)
            .map_err(|_| "must be a number of orders a second, or max".to_owned()),
    }
}

fn parse_percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        Ok(_) | Err(_) => Err("must be from 0 to 100".to_owned()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match galley_launch::parse_duration(text)? {
        Duration::ZERO => Err("must be longer than 0s".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{EXAMPLES, LoadArguments};

    #[test]
    fn the_command_line_is_sound_and_every_argument_explained() {
        LoadArguments::command().debug_assert();
        for argument in LoadArguments::command().get_arguments() {
            assert!(argument.get_help().is_some(), "{}", argument.get_id());
        }
    }

    #[test]
    fn the_examples_can_be_typed() {
        let mut seen = 0;
        for line in EXAMPLES.lines().filter(|line| line.starts_with("  galley-load")) {
            let typed = line
                .trim()
                .split("   ")
                .next()
                .unwrap_or_default()
                .split(" > ")
                .next()
                .unwrap_or_default();
            LoadArguments::try_parse_from(typed.split_whitespace())
                .unwrap_or_else(|error| panic!("{typed}: {error}"));
            seen += 1;
        }
        assert!(seen >= 8, "only {seen} examples");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            &["--rate", "-1"][..],
            &["--rate", "fast"],
            &["--url", "ftp://127.0.0.1"],
            &["--duration", "0s"],
            &["--storm", "101"],
            &["--require", "ack_p99"],
            &["--processes", "0"],
            &["--stage", "1s"],
            &["--stage", "1s:5", "--duration", "1s"],
            &["--mix", "cook=1"],
            &["wild"],
        ] {
            assert!(
                LoadArguments::try_parse_from(["galley-load"].iter().chain(wrong)).is_err(),
                "{wrong:?}"
            );
        }
    }
}
