//! JSON Web Tokens (RFC 7519). The kind of key decides the algorithm, never the header alone (RFC
//! 8725 section 3.1): a secret checks HS256 only, and a public key what it is made for. The
//! signature is checked before the payload is parsed.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use galley_launch::Secrets;
use galley_protocol::bearer_token::MAX_TOKEN;
use galley_protocol::jwt::{ALGORITHM, Who, now};
use galley_protocol::strict::Strict;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::claim_rules::ClaimRules;
use super::ring_verifier::install_token_cryptography;
use super::staff_names::StaffNames;
use super::token_keys::{Found, TokenKeys};
use super::wanted_tokens::WantedTokens;
use super::{Claims, RememberedToken, RevokedHeroes, TokenRejection};

/// Tolerance for clocks that differ, in seconds. A token is valid this long before its `nbf` and
/// after its `exp`.
pub const LEEWAY: u64 = 2;
/// The algorithms of public keys, which the header names. Any other name means a secret.
const PUBLIC: [(&str, Algorithm); 3] =
    [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)];
/// Values of `typ` of tokens that stand for their bearer, without `application/`: those of RFC 7519
/// section 5.1 and of RFC 9068 section 2.1. Others serve other purposes.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// Checks the signature and the claims of tokens. Its clones share the keys.
#[derive(Clone)]
pub struct Verifier {
    keys: Arc<TokenKeys>,
    rules: Arc<ClaimRules>,
    revoked: RevokedHeroes,
    staff: Arc<StaffNames>,
}

impl Verifier {
    /// A verifier of tokens that these keys signed, whose claims are good by these rules.
    #[must_use]
    pub fn new(keys: Arc<TokenKeys>, rules: ClaimRules) -> Self {
        install_token_cryptography();
        Self {
            keys,
            rules: Arc::new(rules),
            revoked: RevokedHeroes::default(),
            staff: Arc::default(),
        }
    }

    /// Also refuses the tokens of these heroes.
    #[must_use]
    pub fn refusing(self, revoked: RevokedHeroes) -> Self {
        Self { revoked, ..self }
    }

    /// Checks further tokens with these secrets. Sockets that are open stay open.
    pub fn replace(&self, secrets: &Secrets) {
        self.keys.replace_secrets(secrets);
    }

    /// Returns the keys.
    #[must_use]
    pub fn keys(&self) -> &Arc<TokenKeys> {
        &self.keys
    }

    /// Returns the name of a member of staff for the log.
    #[must_use]
    pub fn name_of_staff(&self, subject: u64) -> Arc<str> {
        self.staff.name(subject)
    }

    /// Returns the `sub` of a member of staff, if it is known.
    #[must_use]
    pub fn subject_of_staff(&self, subject: u64) -> Option<Arc<str>> {
        self.staff.subject(subject)
    }

    /// Returns the description of tokens that are taken.
    #[must_use]
    pub fn wanted(&self) -> WantedTokens {
        let public = PUBLIC.iter().filter(|_| self.keys.has_source()).map(|(name, _)| *name);
        let secret = self.keys.has_secrets().then_some(ALGORITHM);
        self.rules.wanted(secret.into_iter().chain(public).collect())
    }

    /// Returns the claims of a token. For a key that is not known yet, the keys are read again
    /// first, for two seconds at most.
    ///
    /// # Errors
    /// The reason for refusing the token.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenRejection> {
        let claims = match self.verify_at(token, now()) {
            Err(TokenRejection::UnknownKey) => {
                let are_fresh = self.keys.refreshed().await;
                match self.verify_at(token, now()) {
                    Err(TokenRejection::UnknownKey) if are_fresh => Err(TokenRejection::Signature),
                    outcome => outcome,
                }
            }
            outcome => outcome,
        }?;
        self.check_revoked(claims)
    }

    /// Returns the claims of a token that came on a connection. A token that was good there
    /// before may have ended or been revoked since; its signature is checked again only with other
    /// keys.
    ///
    /// # Errors
    /// The reason for refusing the token.
    pub async fn verify_on(
        &self,
        connection: &RememberedToken,
        token: &str,
    ) -> Result<Claims, TokenRejection> {
        let generation = self.keys.generation();
        if let Some(claims) = connection.claims(token, generation) {
            return self.check_life(claims);
        }
        let claims = self.verify(token).await?;
        connection.remember(token, generation, claims);
        Ok(claims)
    }

    /// Checks the claims of a token that was good a moment ago, of this member of staff if it is
    /// one.
    ///
    /// # Errors
    /// The token has ended, or was revoked.
    pub fn check_again(&self, claims: Claims, name: &str) -> Result<Claims, TokenRejection> {
        let claims = self.check_life(claims)?;
        if claims.who == Who::Staff {
            self.staff.note(claims.subject, Some(name));
        }
        Ok(claims)
    }

    fn check_life(&self, claims: Claims) -> Result<Claims, TokenRejection> {
        if now() >= claims.expires.saturating_add(LEEWAY) {
            return Err(TokenRejection::Expired);
        }
        self.check_revoked(claims)
    }

    fn check_revoked(&self, claims: Claims) -> Result<Claims, TokenRejection> {
        if let Who::Hero(id) = claims.who {
            self.revoked.check(id, claims.issued)?;
        }
        Ok(claims)
    }

    fn verify_at(&self, token: &str, now: u64) -> Result<Claims, TokenRejection> {
        if token.len() > MAX_TOKEN {
            return Err(TokenRejection::Signature);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenRejection::Signature)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenRejection::Signature)?;
        let header = read(header);
        let named = header.as_ref().and_then(|header| text(header, "alg"));
        let public = PUBLIC.iter().find(|(name, _)| Some(*name) == named);
        let algorithm = public.map_or(Algorithm::HS256, |(_, algorithm)| *algorithm);
        let id = header.as_ref().and_then(|header| text(header, "kid"));
        match self.keys.check(algorithm, id, signed, signature) {
            Found::Right => {}
            Found::Wrong => return Err(TokenRejection::Signature),
            Found::Nothing => return Err(TokenRejection::UnknownKey),
        }
        let is_named = public.is_some() || named == Some(ALGORITHM);
        if !is_named || !header.is_some_and(|header| is_plain(&header)) {
            return Err(TokenRejection::Algorithm);
        }
        let payload = read(payload).ok_or(TokenRejection::Claims)?;
        let claims = self.rules.judge(&payload, now)?;
        if claims.who == Who::Staff {
            self.staff.note(claims.subject, text(&payload, "sub"));
        }
        Ok(claims)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verifier(…)")
    }
}

/// Returns true for the header of a bearer's token that asks for no extension.
fn is_plain(header: &Map<String, Value>) -> bool {
    let is_ours = match header.get("typ") {
        None => true,
        Some(kind) => kind.as_str().map(str::to_ascii_lowercase).is_some_and(|kind| {
            TYPES.contains(&kind.strip_prefix("application/").unwrap_or(&kind))
        }),
    };
    is_ours && !header.contains_key("crit")
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// Parses a part of a token. A repeated name, known or not, makes it invalid (RFC 7519 section 4).
fn read(part: &str) -> Option<Map<String, Value>> {
    let text = URL_SAFE_NO_PAD.decode(part).ok()?;
    let value = Strict::read(&text).ok()?.into_value()?;
    serde_json::from_value(value).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use galley_launch::{Secret, Secrets, TokenRules};
    use galley_protocol::HeroId;
    use galley_protocol::jwt::{TokenMint, Who, now};
    use ring::hmac;

    use super::super::claim_rules::{ClaimPath, ClaimRules};
    use super::super::token_keys::TokenKeys;
    use super::{Claims, RememberedToken, TokenRejection, Verifier};

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn verifier(secret: &[u8]) -> Verifier {
        let path = |name| ClaimPath::parse(name).expect("a path");
        let rules = TokenRules { jwt_max_age: Duration::MAX, ..TokenRules::DEFAULT };
        let rules = ClaimRules::new(&rules, &path("sub"), &path("role"), false);
        let secrets = Secrets::from(Secret::of(secret));
        Verifier::new(Arc::new(TokenKeys::new(Some(&secrets), None)), rules)
    }

    fn sign(header: &str, payload: &str) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
    }

    fn claims(token: &str) -> Result<Claims, TokenRejection> {
        verifier(SECRET).verify_at(token, 1_000)
    }

    #[tokio::test]
    async fn a_minted_token_is_good() {
        for who in [Who::Hero(HeroId::FIRST), Who::Staff] {
            let mint = TokenMint { key: SECRET, issuer: None, audience: None };
            let token = mint.token(who, Duration::from_mins(1));
            let claims = verifier(SECRET).verify(&token).await.expect("a good token");
            assert_eq!(claims.who, who);
            assert!((now() + 58..=now() + 60).contains(&claims.expires));
            let other = verifier(b"another secret of thirty-two bytes").verify(&token).await;
            assert_eq!(other, Err(TokenRejection::Signature));
        }
    }

    #[tokio::test]
    async fn a_connection_remembers_a_good_token_until_the_keys_change() {
        let (verifier, connection) = (verifier(SECRET), RememberedToken::default());
        let mint = TokenMint { key: SECRET, issuer: None, audience: None };
        let good = mint.token(Who::Staff, Duration::from_mins(1));
        let forged = format!("{}x", &good[..good.len() - 1]);
        for _ in 0..2 {
            assert!(verifier.verify_on(&connection, &good).await.is_ok());
            let refused = verifier.verify_on(&connection, &forged).await;
            assert_eq!(refused, Err(TokenRejection::Signature));
        }
        verifier.replace(&Secrets::from(Secret::of(b"another secret of thirty-two bytes")));
        let refused = verifier.verify_on(&connection, &good).await;
        assert_eq!(refused, Err(TokenRejection::Signature));
    }

    /// The example of RFC 7515 appendix A.1.
    #[test]
    fn a_signature_of_others_is_understood() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = URL_SAFE_NO_PAD.decode(key).expect("base64");
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
                     .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
                     .dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let outcome = |token: &str| verifier(&key).verify_at(token, 1_000);
        assert_eq!(outcome(token), Err(TokenRejection::Claims), "signed well, but of no role");
        assert_eq!(outcome(&token.replace("dBjf", "dBjg")), Err(TokenRejection::Signature));
    }

    #[test]
    fn a_secret_takes_only_hs256() {
        let payload = r#"{"role":"staff","exp":9999999999}"#;
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"HS256","alg":"none"}"#,
            r#"{"alg":"HS256","kid":"1","kid":"2"}"#,
            r#"{"alg":"HS256","typ":"logout+jwt"}"#,
            r#"{"alg":"HS256","typ":1}"#,
            "{}",
            "x",
        ] {
            assert_eq!(claims(&sign(header, payload)), Err(TokenRejection::Algorithm), "{header}");
        }
        // A secret is no public key, whatever the header says.
        for header in [r#"{"alg":"RS256"}"#, r#"{"alg":"ES256"}"#, r#"{"alg":"EdDSA"}"#] {
            assert_eq!(claims(&sign(header, payload)), Err(TokenRejection::Signature), "{header}");
        }
        for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
            let header = format!(r#"{{"alg":"HS256","typ":"{kind}","kid":"any"}}"#);
            assert!(claims(&sign(&header, payload)).is_ok(), "{kind}");
        }
        let good = sign(r#"{"alg":"HS256","typ":"JWT"}"#, payload);
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
            assert_eq!(claims(&wrong), Err(TokenRejection::Signature), "{wrong}");
        }
    }

    #[test]
    fn a_claim_stands_once() {
        for wrong in [
            r#"{"role":"hero","role":"staff","sub":"7","exp":2000}"#,
            r#"{"role":"staff","exp":2000,"iat":1,"iat":2}"#,
            r#"{"role":"staff","exp":2000,"x":[{"y":1,"y":1}]}"#,
            "[]",
            "x",
        ] {
            let token = sign(r#"{"alg":"HS256"}"#, wrong);
            assert_eq!(claims(&token), Err(TokenRejection::Claims), "{wrong}");
        }
    }

    #[test]
    fn nothing_shows_the_secret() {
        let secret = Secret::of(SECRET);
        let shown = format!("{secret:?} {:?} {:?}", verifier(SECRET), TokenRejection::Signature);
        assert!(!shown.contains("0123"), "{shown}");
    }
}
