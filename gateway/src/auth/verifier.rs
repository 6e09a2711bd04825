//! JSON Web Tokens (RFC 7519), signed with HMAC-SHA-256 only (RFC 8725 section 3.1). A header
//! cannot select another algorithm. The signature is checked before header and payload are parsed.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use galley_launch::Secret;
use galley_protocol::bearer_token::MAX_TOKEN;
use galley_protocol::jwt::{
    ALGORITHM, JwtHeader, JwtPayload, LAST, TokenAudience, TokenRole, Who, now,
};
use galley_protocol::strict::Strict;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::DeserializeOwned;
use sha2::Sha256;
use thiserror::Error;

use super::RevokedHeroes;

/// Tolerance for clocks that differ, in seconds. A token is valid this long before its `nbf` and
/// after its `exp`.
pub const LEEWAY: u64 = 2;
/// The audience that a token must name if it names any.
const AUDIENCE: &str = "galley";
/// The claims of a valid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The owner of the token.
    pub who: Who,
    /// A hash of `sub`, which tells one member of staff from another.
    pub subject: u64,
    /// Expiry, in seconds since the epoch.
    pub expires: u64,
}

/// The reason for refusing a token. Details are revealed only if the signature was valid.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TokenRejection {
    /// It is not a token, or another secret signed it.
    #[error("the token is malformed, or not signed with the secret of this service")]
    Signature,
    /// The header is unreadable, names another algorithm, or requires an extension (`crit`).
    #[error("the token must be a plain {ALGORITHM} token")]
    Algorithm,
    /// A claim is missing or invalid.
    #[error(
        "the token needs `role` hero or staff, `sub` with the id of a hero, and `exp`; `aud`, if any, names {AUDIENCE}"
    )]
    Claims,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    NotYet,
    /// Its hero was deleted.
    #[error("the hero of this token was deleted")]
    HeroGone,
}

/// Checks the signature and the claims of tokens. Its clones share the secret.
#[derive(Clone)]
pub struct Verifier {
    key: Arc<RwLock<Hmac<Sha256>>>,
    revoked: RevokedHeroes,
}

impl Verifier {
    /// A verifier of tokens signed with this secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { key: Arc::new(RwLock::new(keyed(secret))), revoked: RevokedHeroes::default() }
    }

    /// Also refuses the tokens of these heroes.
    #[must_use]
    pub fn refusing(self, revoked: RevokedHeroes) -> Self {
        Self { revoked, ..self }
    }

    /// Checks further tokens with this secret. Sockets that are open stay open.
    pub fn replace(&self, secret: &Secret) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = keyed(secret);
    }

    fn mac(&self) -> Hmac<Sha256> {
        self.key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the claims of a token.
    ///
    /// # Errors
    /// The reason for refusing the token.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenRejection> {
        let claims = self.verify_at(token, now())?;
        match claims.who {
            Who::Hero(id) if self.revoked.contain(id) => Err(TokenRejection::HeroGone),
            Who::Hero(_) | Who::Staff => Ok(claims),
        }
    }

    fn verify_at(&self, token: &str, now: u64) -> Result<Claims, TokenRejection> {
        if token.len() > MAX_TOKEN {
            return Err(TokenRejection::Signature);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenRejection::Signature)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenRejection::Signature)?;
        let signature = decode(signature)?;
        // Compares in constant time.
        self.mac()
            .chain_update(signed)
            .verify_slice(&signature)
            .map_err(|_| TokenRejection::Signature)?;
        let header: JwtHeader = read(&decode(header)?).ok_or(TokenRejection::Algorithm)?;
        if header.alg != ALGORITHM || header.crit.is_some() {
            return Err(TokenRejection::Algorithm);
        }
        let payload: JwtPayload = read(&decode(payload)?).ok_or(TokenRejection::Claims)?;
        judge(&payload, now)
    }
}

/// Returns what the claims mean at this time, in seconds since the epoch.
fn judge(payload: &JwtPayload, now: u64) -> Result<Claims, TokenRejection> {
    let for_us = match &payload.aud {
        None => true,
        Some(TokenAudience::One(name)) => name == AUDIENCE,
        Some(TokenAudience::Many(names)) => names.iter().any(|name| name == AUDIENCE),
    };
    let expires = seconds(payload.exp)?;
    let begins = payload.nbf.map_or(Ok(0), seconds)?;
    let hero = || payload.sub.as_deref().and_then(|sub| sub.parse().ok());
    let who = match payload.role {
        TokenRole::Hero => hero().map(Who::Hero),
        TokenRole::Staff => Some(Who::Staff),
    };
    let who = who.filter(|_| for_us).ok_or(TokenRejection::Claims)?;
    if now >= expires.saturating_add(LEEWAY) {
        return Err(TokenRejection::Expired);
    }
    if now.saturating_add(LEEWAY) < begins {
        return Err(TokenRejection::NotYet);
    }
    Ok(Claims { who, subject: subject(payload.sub.as_deref()), expires })
}

fn subject(sub: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    sub.hash(&mut hasher);
    hasher.finish()
}

impl TokenRejection {
    /// Every rejection.
    #[cfg(test)]
    pub const ALL: [Self; 6] = [
        Self::Signature,
        Self::Algorithm,
        Self::Claims,
        Self::Expired,
        Self::NotYet,
        Self::HeroGone,
    ];

    /// The reason in one word, for logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Signature => "bad-signature",
            Self::Algorithm => "bad-algorithm",
            Self::Claims => "bad-claims",
            Self::Expired => "expired-token",
            Self::NotYet => "early-token",
            Self::HeroGone => "hero-gone",
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verifier(…)")
    }
}

fn keyed(secret: &Secret) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.bytes()).expect("HMAC takes a key of any length")
}

/// Parses a part of a token. A repeated name, known or not, makes it invalid (RFC 7519 section 4).
fn read<T: DeserializeOwned>(part: &[u8]) -> Option<T> {
    Strict::read(part).ok()?.into_value().and_then(|value| serde_json::from_value(value).ok())
}

fn decode(part: &str) -> Result<Vec<u8>, TokenRejection> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenRejection::Signature)
}

/// Converts a `NumericDate` (RFC 7519 section 2) to whole seconds.
fn seconds(date: f64) -> Result<u64, TokenRejection> {
    let date = Duration::try_from_secs_f64(date).map_err(|_| TokenRejection::Claims)?.as_secs();
    if date <= LAST { Ok(date) } else { Err(TokenRejection::Claims) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use galley_launch::Secret;
    use galley_protocol::HeroId;
    use galley_protocol::jwt::{Who, mint, now};
    use hmac::Mac as _;

    use super::{Claims, LEEWAY, TokenRejection, Verifier, subject};

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn sign(header: &str, payload: &str) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature =
            Verifier::new(&Secret::of(SECRET)).mac().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn claims(payload: &str) -> Result<Claims, TokenRejection> {
        Verifier::new(&Secret::of(SECRET)).verify_at(&sign(r#"{"alg":"HS256"}"#, payload), 1_000)
    }

    fn hero(id: i64) -> Who {
        Who::Hero(HeroId::new(id).expect("an id"))
    }

    #[test]
    fn a_minted_token_is_good() {
        let (secret, verifier) = (Secret::of(SECRET), Verifier::new(&Secret::of(SECRET)));
        for who in [hero(7), Who::Staff] {
            let claims = verifier
                .verify(&mint(secret.bytes(), who, Duration::from_mins(1)))
                .expect("a good token");
            assert_eq!(claims.who, who);
            assert!((now() + 58..=now() + 60).contains(&claims.expires));
            let other = Verifier::new(&Secret::of(b"another secret of thirty-two bytes"));
            assert_eq!(
                other.verify(&mint(secret.bytes(), who, Duration::from_mins(1))),
                Err(TokenRejection::Signature)
            );
        }
    }

    /// The example of RFC 7515 appendix A.1.
    #[test]
    fn a_signature_of_others_is_understood() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = URL_SAFE_NO_PAD.decode(key).expect("base64");
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
                     .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
                     .dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let verifier = Verifier::new(&Secret::of(&key));
        assert_eq!(
            verifier.verify(token),
            Err(TokenRejection::Claims),
            "signed well, but of no role"
        );
        assert_eq!(verifier.verify(&token.replace("dBjf", "dBjg")), Err(TokenRejection::Signature));
    }

    #[test]
    fn only_hs256_is_taken() {
        let payload = r#"{"role":"staff","exp":9999999999}"#;
        let verifier = Verifier::new(&Secret::of(SECRET));
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"HS256","alg":"none"}"#,
            r#"{"alg":"HS256","kid":"1","kid":"2"}"#,
            "{}",
            "x",
        ] {
            assert_eq!(
                verifier.verify(&sign(header, payload)),
                Err(TokenRejection::Algorithm),
                "{header}"
            );
        }
        let good = sign(r#"{"alg":"HS256","typ":"JWT"}"#, payload);
        assert!(verifier.verify(&good).is_ok());
        let (signed, signature) = good.rsplit_once('.').expect("three parts");
        for wrong in [
            format!("{signed}."),
            signed.to_owned(),
            format!("{good}="),
            format!("{good}.x"),
            format!(" {good}"),
            format!("x.{good}"),
            format!("{signed}.{}", &signature[1..]),
            good.replace('.', ""),
            "a.b.c".to_owned(),
            String::new(),
            "x".repeat(5_000),
        ] {
            assert_eq!(verifier.verify(&wrong), Err(TokenRejection::Signature), "{wrong}");
        }
    }

    #[test]
    fn claims_are_whole_and_in_time() {
        let good = |who, sub| Ok(Claims { who, subject: subject(sub), expires: 2_000 });
        assert_eq!(
            claims(r#"{"role":"hero","sub":"7","exp":2000.9,"nbf":1000,"iat":1,"x":{}}"#),
            good(hero(7), Some("7"))
        );
        assert_eq!(
            claims(r#"{"role":"staff","sub":"ada","exp":2000,"aud":"galley"}"#),
            good(Who::Staff, Some("ada"))
        );
        assert_eq!(
            claims(r#"{"role":"staff","exp":2000,"aud":["x","galley"]}"#),
            good(Who::Staff, None)
        );
        for wrong in [
            r#"{"role":"hero","sub":"7"}"#,
            r#"{"role":"hero","exp":2000}"#,
            r#"{"role":"hero","sub":7,"exp":2000}"#,
            r#"{"role":"hero","sub":"07","exp":2000}"#,
            r#"{"role":"hero","sub":"0","exp":2000}"#,
            r#"{"role":"admin","sub":"7","exp":2000}"#,
            r#"{"sub":"7","exp":2000}"#,
            r#"{"role":"staff","exp":"2000"}"#,
            r#"{"role":"staff","exp":-1}"#,
            r#"{"role":"staff","exp":1e300}"#,
            r#"{"role":"staff","exp":null}"#,
            r#"{"role":"staff","exp":2000,"nbf":"now"}"#,
            r#"{"role":"staff","exp":2000,"aud":"kitchen"}"#,
            r#"{"role":"staff","exp":2000,"aud":[]}"#,
            r#"{"role":"hero","role":"staff","sub":"7","exp":2000}"#,
            r#"{"role":"staff","exp":2000,"iat":1,"iat":2}"#,
            r#"{"role":"staff","exp":2000,"x":[{"y":1,"y":1}]}"#,
            "[]",
            "x",
        ] {
            assert_eq!(claims(wrong), Err(TokenRejection::Claims), "{wrong}");
        }
        let at = |exp: u64, nbf: u64| {
            claims(&format!(r#"{{"role":"staff","exp":{exp},"nbf":{nbf}}}"#)).map(|_| ())
        };
        assert_eq!(at(1_000 - LEEWAY + 1, 1_000 + LEEWAY), Ok(()));
        assert_eq!(at(1_000 - LEEWAY, 0), Err(TokenRejection::Expired));
        assert_eq!(at(2_000, 1_001 + LEEWAY), Err(TokenRejection::NotYet));
    }

    #[test]
    fn nothing_shows_the_secret() {
        let secret = Secret::of(SECRET);
        let shown =
            format!("{secret:?} {:?} {:?}", Verifier::new(&secret), TokenRejection::Signature);
        assert!(!shown.contains("0123"), "{shown}");
    }
}
