//! The claims that tokens need. Gateways demand them, and programs that make tokens write them.

use std::time::Duration;

use clap::Args;
use galley_protocol::jwt::TokenMint;

use crate::{Secrets, parse_age};

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
    #[arg(long, env = "GALLEY_JWT_MAX_AGE", default_value = "24h", value_parser = parse_age, value_name = "DURATION")]
    pub jwt_max_age: Duration,
}

impl TokenRules {
    /// The rules without settings.
    pub const DEFAULT: Self =
        Self { jwt_issuer: None, jwt_audience: None, jwt_max_age: Duration::from_hours(24) };

    /// Returns what makes tokens by these rules.
    #[must_use]
    pub fn mint<'a>(&'a self, secrets: &'a Secrets) -> TokenMint<'a> {
        TokenMint {
            key: secrets.signing().bytes(),
            issuer: self.jwt_issuer.as_deref(),
            audience: self.jwt_audience.as_deref(),
        }
    }
}
