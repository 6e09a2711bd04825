//! The JSON Web Tokens that Galley issues itself (RFC 7519), signed with HMAC-SHA-256 (RFC 7518
//! section 3.2). The gateway verifies them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde_json::json;
use sha2::Sha256;

use crate::HeroId;

/// The algorithm of these tokens.
pub const ALGORITHM: &str = "HS256";
/// The role of a hero.
pub const HERO: &str = "hero";
/// The role of staff.
pub const STAFF: &str = "staff";
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

/// The claims of a token of ours.
#[derive(Serialize)]
struct JwtPayload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    role: &'static str,
    iat: u64,
    exp: u64,
}

/// Makes tokens.
#[derive(Clone, Copy, Debug)]
pub struct TokenMint<'a> {
    /// The secret that signs.
    pub key: &'a [u8],
    /// The claim `iss`.
    pub issuer: Option<&'a str>,
    /// The claim `aud`.
    pub audience: Option<&'a str>,
}

impl TokenMint<'_> {
    /// Makes a token that is valid for this long from now on.
    #[must_use]
    pub fn token(self, who: Who, good_for: Duration) -> String {
        let (role, sub) = match who {
            Who::Hero(id) => (HERO, Some(id.to_string())),
            Who::Staff => (STAFF, None),
        };
        let iat = now();
        let exp = iat.saturating_add(good_for.as_secs()).min(LAST);
        let payload = JwtPayload { iss: self.issuer, aud: self.audience, sub, role, iat, exp };
        let signed = format!("{}.{}", encode(&json!({"alg": ALGORITHM})), encode(&payload));
        let mac = Hmac::<Sha256>::new_from_slice(self.key).expect("HMAC takes a key of any length");
        let signature = mac.chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The current time for tokens, in seconds since the epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn encode(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("plain data is JSON"))
}
