//! `galley token`

use std::time::Duration;

use clap::Args;
use galley_gateway::auth::{SecretArguments, Who, mint};
use galley_launch::Failure;
use galley_protocol::HeroId;

use super::output;

/// The longest life of a token that this program makes: nothing takes a token back before its end but another secret.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Whose token.
#[derive(Args)]
#[command(after_help = "\
The secret is the one that the gateways have. The token goes to standard output alone.

Examples:
  galley token --hero 1
  galley token --staff --ttl 15m > staff.token")]
pub struct TokenArguments {
    #[command(flatten)]
    whose: Whose,
    /// How long it is good, at most 30 days
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_life)]
    ttl: Duration,
    #[command(flatten)]
    secret: SecretArguments,
}

/// A hero's or staff's.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// This hero's, which sees and touches its own orders alone
    #[arg(long, value_name = "ID")]
    hero: Option<HeroId>,
    /// Staff's, which may do everything
    #[arg(long)]
    staff: bool,
}

/// Makes it.
pub fn run(arguments: &TokenArguments) -> Result<(), Failure> {
    let secret = arguments.secret.read().map_err(Failure::Usage)?;
    let who = arguments.whose.hero.map_or(Who::Staff, Who::Hero);
    output::print(&mint(&secret, who, arguments.ttl))
}

fn parse_life(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=LONGEST).contains(&life) { Ok(life) } else { Err("must be from 1s to 30days".to_owned()) }
}
