//! The claims that tokens need. Gateways demand them, and programs that make tokens write them.

use std::time::Duration;

use clap::Args;

/// The claims that every token needs.
#[derive(Args, Clone, Debug)]
pub struct TokenRules {
    /// Issuer (`iss`) that every token must name; needed with `GALLEY_JWT_JWKS`. Default: any
    #[arg(long, env = "GALLEY_JWT_ISSUER", value_name = "ISSUER")]
    pub jwt_issuer: Option<String>,

    /// Audience (`aud`) that every token must name. Default: a token that has none is taken, or one
    /// that names `galley`; with `GALLEY_JWT_JWKS` it must name `galley`
    #[arg(long, env = "GALLEY_JWT_AUDIENCE", value_name = "AUDIENCE")]
    pub jwt_audience: Option<String>,

    /// The longest life of a token, from `iat` (or from now, if it has none) to `exp`; a duration or
    /// `unlimited`
    #[arg(long, env = "GALLEY_JWT_MAX_AGE", default_value = "24h", value_parser = parse_life, value_name = "DURATION")]
    pub jwt_max_age: Duration,
}

impl TokenRules {
    /// The rules without settings.
    pub const DEFAULT: Self =
        Self { jwt_issuer: None, jwt_audience: None, jwt_max_age: Duration::from_hours(24) };
}

/// Parses the longest life of a token.
fn parse_life(text: &str) -> Result<Duration, String> {
    if text == "unlimited" {
        return Ok(Duration::MAX);
    }
    let life = crate::parse_duration(text).map_err(|error| format!("{error}, or unlimited"))?;
    let is_long = life >= Duration::from_secs(1);
    is_long.then_some(life).ok_or_else(|| "must be at least 1s, or unlimited".to_owned())
}
