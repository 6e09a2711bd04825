//! The JSON Web Tokens that Galley issues itself (RFC 7519), signed with HMAC-SHA-256 (RFC 7518
//! section 3.2). The gateway verifies them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::HeroId;

/// The only algorithm of these tokens.
pub const ALGORITHM: &str = "HS256";
/// The end of the year 9999, in seconds since the epoch: the latest date of a token.
pub const LAST: u64 = 253_402_300_799;

/// The owner of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A hero.
    Hero(HeroId),
    /// Staff.
    Staff,
}

/// The header of a token.
#[derive(Deserialize, Serialize)]
pub struct JwtHeader {
    /// The algorithm.
    pub alg: String,
    /// Extensions that a verifier must understand; there are none.
    #[serde(default, skip_serializing)]
    pub crit: Option<IgnoredAny>,
}

/// The claims of a token as they are written.
#[derive(Deserialize, Serialize)]
pub struct JwtPayload {
    /// The id of the hero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The role of the owner.
    pub role: TokenRole,
    /// The end of the token's life, in seconds since the epoch.
    pub exp: f64,
    /// The begin of the token's life, in seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<f64>,
    /// The services for which the token is meant.
    #[serde(skip_serializing)]
    pub aud: Option<TokenAudience>,
}

/// The claim `role`.
#[derive(Clone, Copy, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenRole {
    /// A hero.
    Hero,
    /// Staff.
    Staff,
}

/// The claim `aud`.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum TokenAudience {
    /// One service.
    One(String),
    /// Several services.
    Many(Vec<String>),
}

/// Makes a token that is valid for this long from now on.
#[must_use]
pub fn mint(key: &[u8], who: Who, good_for: Duration) -> String {
    let header = JwtHeader { alg: ALGORITHM.to_owned(), crit: None };
    let (role, sub) = match who {
        Who::Hero(id) => (TokenRole::Hero, Some(id.to_string())),
        Who::Staff => (TokenRole::Staff, None),
    };
    let exp = Duration::from_secs(now().saturating_add(good_for.as_secs()).min(LAST)).as_secs_f64();
    let payload = JwtPayload { sub, role, exp, nbf: None, aud: None };
    let signed = format!("{}.{}", encode(&header), encode(&payload));
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The current time for tokens, in seconds since the epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn encode(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("plain data is JSON"))
}
