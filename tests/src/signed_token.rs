//! Valid and invalid tokens, made without the service's own code.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};

/// The key that signs the tokens of a stack with authentication.
pub const SECRET: &str = "a secret of the tests, never of anybody else";

/// A hero's token, valid for this many seconds.
#[must_use]
pub fn hero(id: i64, seconds: i64) -> String {
    sign(SECRET, &json!({"sub": id.to_string(), "role": "hero", "exp": now() + seconds}))
}

/// A staff token, valid for this many seconds.
#[must_use]
pub fn staff(seconds: i64) -> String {
    sign(SECRET, &json!({"role": "staff", "exp": now() + seconds}))
}

/// A token with these claims, signed with this secret.
#[must_use]
pub fn sign(secret: &str, claims: &Value) -> String {
    sign_with(secret, &json!({"alg": "HS256", "typ": "JWT"}), claims)
}

/// A token with this header, always signed with HMAC-SHA-256.
#[must_use]
pub fn sign_with(secret: &str, header: &Value, claims: &Value) -> String {
    let signed = unsigned(header, claims);
    let mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key").chain_update(&signed);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// A token with these claims, signed with HMAC-SHA-512.
#[must_use]
pub fn sign_longer(secret: &str, claims: &Value) -> String {
    let signed = unsigned(&json!({"alg": "HS512", "typ": "JWT"}), claims);
    let mac =
        Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("any key").chain_update(&signed);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// The header and the claims of a token, without a signature.
#[must_use]
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    )
}

/// Seconds since the epoch.
#[must_use]
pub fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    i64::try_from(elapsed.as_secs()).expect("the clock is not absurd")
}
