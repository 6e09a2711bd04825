//! `galley token`

use std::time::Duration;

use clap::Args;
use galley_launch::SecretArguments;
use galley_protocol::HeroId;
use galley_protocol::jwt::{Who, mint};
use serde_json::json;

use super::error::CommandError;
use super::output;

/// Maximum lifetime of a token from this program. It has a bound because only a change of the
/// secret revokes a token earlier.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// The token to make.
#[derive(Args)]
#[command(after_help = "\
The secret is the one that the gateways have. The token goes to standard output alone.

Examples:
  galley token --hero 1
  galley token --staff --ttl 15m > staff.token")]
pub struct TokenArguments {
    #[command(flatten)]
    whose: Whose,
    /// Lifetime of the token, at most 30 days
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_life)]
    ttl: Duration,
    #[command(flatten)]
    secret: SecretArguments,
}

/// The caller that the token identifies.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// A token of this hero, which sees and changes only its own orders; an id, since no gateway is
    /// asked for the name
    #[arg(long, value_name = "ID")]
    hero: Option<HeroId>,
    /// A token of staff, which may do everything
    #[arg(long)]
    staff: bool,
}

/// Makes the token.
pub fn run(arguments: &TokenArguments, json: bool) -> Result<(), CommandError> {
    let secret = arguments.secret.read().map_err(CommandError::usage)?;
    let who = arguments.whose.hero.map_or(Who::Staff, Who::Hero);
    let token = mint(secret.bytes(), who, arguments.ttl);
    output::print(&if json { json!({"token": token}).to_string() } else { token })
}

fn parse_life(text: &str) -> Result<Duration, String> {
    let life = galley_launch::parse_duration(text)?;
    if (Duration::from_secs(1)..=LONGEST).contains(&life) {
        Ok(life)
    } else {
        Err("must be from 1s to 30days".to_owned())
    }
}
