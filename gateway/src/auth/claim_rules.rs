//! The claims of tokens (RFC 7519 section 4), and what they must say.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use galley_launch::TokenRules;
use galley_protocol::HeroId;
use galley_protocol::jwt::{HERO, LAST, STAFF, Who};
use serde_json::{Map, Value};

use super::wanted_tokens::WantedTokens;
use super::{Claims, LEEWAY, TokenRejection};

/// The audience that tokens name without a setting.
const AUDIENCE: &str = "galley";

/// The claims that tokens need.
#[derive(Clone, Debug)]
pub struct ClaimRules {
    issuer: Option<String>,
    audience: String,
    /// True if a token without an audience is refused.
    needs_audience: bool,
    hero: ClaimPath,
    role: ClaimPath,
    max_age: Duration,
}

/// The names that lead to a claim, such as `realm_access.roles`.
#[derive(Clone, Debug)]
pub struct ClaimPath(String);

impl ClaimRules {
    /// The rules of these settings. `by_provider` is true if an identity provider makes tokens: its
    /// tokens for other services must not be taken.
    pub fn new(rules: &TokenRules, hero: &ClaimPath, role: &ClaimPath, by_provider: bool) -> Self {
        let TokenRules { jwt_issuer, jwt_audience, jwt_max_age } = rules.clone();
        Self {
            issuer: jwt_issuer,
            needs_audience: by_provider || jwt_audience.is_some(),
            audience: jwt_audience.unwrap_or_else(|| AUDIENCE.to_owned()),
            hero: hero.clone(),
            role: role.clone(),
            max_age: jwt_max_age,
        }
    }

    /// Returns what the claims mean at this time, in seconds since the epoch.
    ///
    /// # Errors
    /// The reason for refusing the token.
    pub fn judge(&self, claims: &Map<String, Value>, now: u64) -> Result<Claims, TokenRejection> {
        let expires = seconds(claims.get("exp").ok_or(TokenRejection::Claims)?)?;
        let begins = claims.get("nbf").map_or(Ok(0), seconds)?;
        let issued = claims.get("iat").map(seconds).transpose()?;
        let is_ours =
            self.issuer.as_deref().is_none_or(|issuer| text(claims, "iss") == Some(issuer));
        if !is_ours || !self.is_for_us(claims.get("aud")) {
            return Err(TokenRejection::Claims);
        }
        let subject = claims.get("sub");
        if subject.is_some_and(|subject| !subject.is_string()) {
            return Err(TokenRejection::Claims);
        }
        let who = self.who(claims).ok_or(TokenRejection::Claims)?;
        let begin_of_life = issued.unwrap_or(now);
        if expires.saturating_sub(begin_of_life) > self.max_age.as_secs() {
            return Err(TokenRejection::LongLived);
        }
        if now >= expires.saturating_add(LEEWAY) {
            return Err(TokenRejection::Expired);
        }
        if now.saturating_add(LEEWAY) < begins.max(issued.unwrap_or(0)) {
            return Err(TokenRejection::NotYet);
        }
        Ok(Claims { who, subject: hash(subject.and_then(Value::as_str)), issued, expires })
    }

    /// Returns the description of good tokens, signed with these algorithms.
    pub fn wanted(&self, algorithms: Vec<&'static str>) -> WantedTokens {
        let is_limited = self.max_age != Duration::MAX;
        WantedTokens {
            algorithms,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            needs_audience: self.needs_audience,
            role_claim: self.role.0.clone(),
            hero_claim: self.hero.0.clone(),
            max_age_seconds: is_limited.then_some(self.max_age.as_secs()),
        }
    }

    fn is_for_us(&self, audience: Option<&Value>) -> bool {
        match audience {
            None => !self.needs_audience,
            Some(Value::String(name)) => *name == self.audience,
            Some(Value::Array(names)) => {
                let strings = names.iter().all(Value::is_string);
                strings && names.iter().any(|name| name.as_str() == Some(&self.audience))
            }
            Some(_) => false,
        }
    }

    /// Returns the owner of the token. Staff that is also a hero is staff.
    fn who(&self, claims: &Map<String, Value>) -> Option<Who> {
        let role = self.role.find(claims)?;
        let roles = role.as_array().map_or(std::slice::from_ref(role), Vec::as_slice);
        let has = |role| roles.iter().any(|given| given.as_str() == Some(role));
        if has(STAFF) {
            return Some(Who::Staff);
        }
        let id = self.hero.find(claims).filter(|_| has(HERO))?;
        let id: Option<HeroId> = match id.as_str() {
            Some(id) => id.parse().ok(),
            // `sub` is a text by RFC 7519 section 4.1.2.
            None if self.hero.0 == "sub" => None,
            None => id.as_i64().and_then(|id| HeroId::new(id).ok()),
        };
        id.map(Who::Hero)
    }
}

impl ClaimPath {
    /// Parses a path. A name may contain dots if the claim stands at the top, such as
    /// `https://galley.example/role`.
    ///
    /// # Errors
    /// A message for people, if a name is empty.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.split('.').any(str::is_empty) {
            return Err("must be the name of a claim, or names with dots between".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        claims.get(&self.0).or_else(|| {
            let mut names = self.0.split('.');
            let first = claims.get(names.next()?)?;
            names.try_fold(first, |within, name| within.get(name))
        })
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

fn hash(subject: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    hasher.finish()
}

/// Converts a `NumericDate` (RFC 7519 section 2) to whole seconds.
fn seconds(date: &Value) -> Result<u64, TokenRejection> {
    let date = date.as_f64().and_then(|date| Duration::try_from_secs_f64(date).ok());
    let date = date.ok_or(TokenRejection::Claims)?.as_secs();
    if date <= LAST { Ok(date) } else { Err(TokenRejection::Claims) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use galley_launch::TokenRules;
    use galley_protocol::HeroId;
    use galley_protocol::jwt::Who;
    use serde_json::Value;

    use super::super::{Claims, LEEWAY, TokenRejection};
    use super::{ClaimPath, ClaimRules, hash};

    fn path(text: &str) -> ClaimPath {
        ClaimPath::parse(text).expect("a path")
    }

    fn judge(rules: &ClaimRules, claims: &str) -> Result<Claims, TokenRejection> {
        let claims: Value = serde_json::from_str(claims).expect("JSON");
        rules.judge(claims.as_object().expect("an object"), 1_000)
    }

    fn unlimited() -> TokenRules {
        TokenRules { jwt_max_age: Duration::MAX, ..TokenRules::DEFAULT }
    }

    fn hero(id: i64) -> Who {
        Who::Hero(HeroId::new(id).expect("an id"))
    }

    #[test]
    fn claims_are_whole_and_in_time() {
        let rules = ClaimRules::new(&unlimited(), &path("sub"), &path("role"), false);
        let claims = |text: &str| judge(&rules, text);
        let good =
            |who, sub, issued| Ok(Claims { who, subject: hash(sub), issued, expires: 2_000 });
        assert_eq!(
            claims(r#"{"role":"hero","sub":"7","exp":2000.9,"nbf":1000,"iat":1,"x":{}}"#),
            good(hero(7), Some("7"), Some(1))
        );
        assert_eq!(
            claims(r#"{"role":"staff","sub":"ada","exp":2000,"aud":"galley"}"#),
            good(Who::Staff, Some("ada"), None)
        );
        assert_eq!(
            claims(r#"{"role":"staff","exp":2000,"aud":["x","galley"]}"#),
            good(Who::Staff, None, None)
        );
        for wrong in [
            r#"{"role":"hero","sub":"7"}"#,
            r#"{"role":"hero","exp":2000}"#,
            r#"{"role":"hero","sub":7,"exp":2000}"#,
            r#"{"role":"hero","sub":"07","exp":2000}"#,
            r#"{"role":"hero","sub":"0","exp":2000}"#,
            r#"{"role":"admin","sub":"7","exp":2000}"#,
            r#"{"role":{"staff":true},"exp":2000}"#,
            r#"{"sub":"7","exp":2000}"#,
            r#"{"role":"staff","exp":"2000"}"#,
            r#"{"role":"staff","exp":-1}"#,
            r#"{"role":"staff","exp":1e300}"#,
            r#"{"role":"staff","exp":null}"#,
            r#"{"role":"staff","exp":2000,"nbf":"now"}"#,
            r#"{"role":"staff","exp":2000,"iat":"now"}"#,
            r#"{"role":"staff","exp":2000,"aud":"kitchen"}"#,
            r#"{"role":"staff","exp":2000,"aud":[]}"#,
            r#"{"role":"staff","exp":2000,"aud":["galley",1]}"#,
            r#"{"role":"staff","exp":2000,"aud":null}"#,
        ] {
            assert_eq!(claims(wrong), Err(TokenRejection::Claims), "{wrong}");
        }
        let at = |exp: u64, nbf: u64, iat: u64| {
            claims(&format!(r#"{{"role":"staff","exp":{exp},"nbf":{nbf},"iat":{iat}}}"#))
                .map(|_| ())
        };
        assert_eq!(at(1_000 - LEEWAY + 1, 1_000 + LEEWAY, 1_000 + LEEWAY), Ok(()));
        assert_eq!(at(1_000 - LEEWAY, 0, 0), Err(TokenRejection::Expired));
        assert_eq!(at(2_000, 1_001 + LEEWAY, 0), Err(TokenRejection::NotYet));
        assert_eq!(at(2_000, 0, 1_001 + LEEWAY), Err(TokenRejection::NotYet));
    }

    #[test]
    fn a_provider_names_itself_and_its_audience_and_its_claims() {
        let settings = TokenRules { jwt_issuer: Some("https://idp".to_owned()), ..unlimited() };
        let rules =
            ClaimRules::new(&settings, &path("galley.hero"), &path("realm_access.roles"), true);
        let with = |rest: &str| {
            judge(&rules, &format!(r#"{{"exp":2000,"sub":"ada",{rest}}}"#)).map(|claims| claims.who)
        };
        let ours = r#""iss":"https://idp","aud":"galley""#;
        for (claims, who) in [
            (r#""realm_access":{"roles":["x","hero"]},"galley":{"hero":"7"}"#, hero(7)),
            (r#""realm_access":{"roles":["hero"]},"galley":{"hero":7}"#, hero(7)),
            (r#""realm_access.roles":"hero","galley.hero":"7""#, hero(7)),
            (r#""realm_access":{"roles":["hero","staff"]}"#, Who::Staff),
        ] {
            assert_eq!(with(&format!("{ours},{claims}")), Ok(who), "{claims}");
        }
        for wrong in [
            format!(r#"{ours},"realm_access":{{"roles":["hero"]}}"#),
            format!(r#"{ours},"role":"staff""#),
            r#""aud":"galley","realm_access":{"roles":["staff"]}"#.to_owned(),
            r#""iss":"https://idp/","aud":"galley","realm_access":{"roles":["staff"]}"#.to_owned(),
            r#""iss":"https://idp","realm_access":{"roles":["staff"]}"#.to_owned(),
        ] {
            assert_eq!(with(&wrong), Err(TokenRejection::Claims), "{wrong}");
        }
        let wanted = rules.wanted(vec!["HS256"]).to_string();
        assert!(
            wanted.contains("https://idp") && wanted.contains("realm_access.roles"),
            "{wanted}"
        );
    }

    #[test]
    fn a_token_lives_no_longer_than_it_may() {
        let settings = TokenRules { jwt_max_age: Duration::from_secs(100), ..TokenRules::DEFAULT };
        let rules = ClaimRules::new(&settings, &path("sub"), &path("role"), false);
        let with = |rest: &str| judge(&rules, &format!(r#"{{"role":"staff",{rest}}}"#)).map(|_| ());
        assert_eq!(with(r#""iat":990,"exp":1090"#), Ok(()));
        assert_eq!(with(r#""iat":990,"exp":1091"#), Err(TokenRejection::LongLived));
        assert_eq!(with(r#""exp":1100"#), Ok(()), "as if it was issued now");
        assert_eq!(with(r#""exp":1101"#), Err(TokenRejection::LongLived));
    }

    #[test]
    fn a_path_has_no_empty_name() {
        for wrong in ["", ".", "a.", ".a", "a..b"] {
            ClaimPath::parse(wrong).expect_err(wrong);
        }
    }
}
