//! `galley token`

use std::time::Duration;

use clap::Args;
use galley_launch::{SecretArguments, TokenRules};
use galley_protocol::HeroId;
use galley_protocol::jwt::Who;
use serde_json::json;

use super::error::CommandError;
use super::output;

/// Maximum lifetime of a token from this program. It has a bound because only a change of the
/// secret revokes a token of staff earlier.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// The token to make.
#[derive(Args)]
#[command(after_help = "\
The secret, the issuer and the audience are those of the gateways. The token goes to standard output
alone.

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
    #[command(flatten)]
    rules: TokenRules,
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
    let TokenArguments { whose, ttl, secret, rules } = arguments;
    let secrets = secret.read().map_err(CommandError::usage)?;
    if *ttl > rules.jwt_max_age {
        let longest = humantime::format_duration(rules.jwt_max_age);
        return Err(CommandError::usage(format!(
            "--ttl: gateways refuse tokens that live longer than {longest}, unless GALLEY_JWT_MAX_AGE is longer"
        )));
    }
    let token = rules.mint(&secrets).token(whose.hero.map_or(Who::Staff, Who::Hero), *ttl);
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
