//! The description of tokens that are taken, for callers with another one.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

/// The tokens that are taken. Their claims are those of RFC 7519.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WantedTokens {
    /// The algorithms of signatures.
    #[schema(example = json!(["HS256"]))]
    pub algorithms: Vec<&'static str>,
    /// The issuer (`iss`), if it must be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "https://login.example.org/realms/heroes")]
    pub issuer: Option<String>,
    /// The audience (`aud`).
    #[schema(example = "galley")]
    pub audience: String,
    /// True if a token without an audience is refused.
    pub needs_audience: bool,
    /// The path of the claim with the role, `hero` or `staff`; dots lead into objects.
    #[schema(example = "role")]
    pub role_claim: String,
    /// The path of the claim with the id of a hero; dots lead into objects.
    #[schema(example = "sub")]
    pub hero_claim: String,
    /// The longest life in seconds, if there is a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 86_400)]
    pub max_age_seconds: Option<u64>,
}

impl fmt::Display for WantedTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (last, others) = self.algorithms.split_last().unwrap_or((&"nothing", &[]));
        let several = if others.is_empty() { "" } else { " or " };
        write!(formatter, "a good one is signed with {}{several}{last}", others.join(", "))?;
        if let Some(issuer) = &self.issuer {
            write!(formatter, ", and `iss` is {issuer}")?;
        }
        let optional = if self.needs_audience { "" } else { ", if any," };
        write!(formatter, ", and `aud`{optional} names {}", self.audience)?;
        write!(formatter, ", `{}` is hero or staff", self.role_claim)?;
        write!(formatter, ", a hero's `{}` is its id", self.hero_claim)?;
        match self.max_age_seconds.map(Duration::from_secs) {
            None => formatter.write_str(", `exp` is there"),
            Some(age) => {
                let age = humantime::format_duration(age);
                write!(formatter, ", `exp` is at most {age} after `iat`")
            }
        }
    }
}
