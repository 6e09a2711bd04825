//! The settings of tokens.

use std::sync::Arc;

use clap::Args;
use galley_launch::{SecretArguments, TokenRules};

use super::claim_rules::{ClaimPath, ClaimRules};
use super::key_set_source::KeySetSource;
use super::token_keys::TokenKeys;
use super::{SignInConfig, SignInProvider, Verifier};

/// The settings of tokens.
#[derive(Args, Clone, Debug)]
pub struct TokenConfig {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the program's in its help")]
    pub secret: SecretArguments,

    /// The public keys of an identity provider (JWK set) that check RS256, ES256 and `EdDSA` tokens: a
    /// file, or an `https://` address. Read again every 10 minutes, at SIGHUP, and when a token
    /// names an unknown key. Needs `GALLEY_JWT_ISSUER`
    #[arg(long, env = "GALLEY_JWT_JWKS", value_name = "PLACE")]
    pub jwt_jwks: Option<String>,

    /// Claim that holds the id of a hero; dots lead into objects, as in `galley.hero`
    #[arg(long, env = "GALLEY_JWT_HERO_CLAIM", default_value = "sub", value_parser = claim, value_name = "CLAIM")]
    pub jwt_hero_claim: String,

    /// Claim that holds the role, `hero` or `staff`, or a list of roles; dots lead into objects, as
    /// in `realm_access.roles`
    #[arg(long, env = "GALLEY_JWT_ROLE_CLAIM", default_value = "role", value_parser = claim, value_name = "CLAIM")]
    pub jwt_role_claim: String,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the program's in its help")]
    pub rules: TokenRules,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the program's in its help")]
    pub sign_in: SignInConfig,
}

impl TokenConfig {
    /// Returns the verifier of these settings. Its public keys are not read yet.
    ///
    /// # Errors
    /// A message for people, which names the setting.
    pub fn verifier(&self) -> Result<Verifier, String> {
        let secrets = self.secret.find()?;
        let source = match &self.jwt_jwks {
            Some(place) => {
                if self.rules.jwt_issuer.is_none() {
                    return Err("GALLEY_JWT_JWKS needs GALLEY_JWT_ISSUER: without it, tokens that the provider made \
                                for others would do"
                        .to_owned());
                }
                let source = KeySetSource::parse(place);
                Some(source.map_err(|error| format!("--jwt-jwks: {error}"))?)
            }
            None if secrets.is_none() => {
                return Err(
                    "keys are needed: set GALLEY_JWT_SECRET, GALLEY_JWT_SECRET_FILE or GALLEY_JWT_JWKS".to_owned()
                );
            }
            None => None,
        };
        let hero = ClaimPath::parse(&self.jwt_hero_claim)?;
        let role = ClaimPath::parse(&self.jwt_role_claim)?;
        let rules = ClaimRules::new(&self.rules, &hero, &role, source.is_some());
        Ok(Verifier::new(Arc::new(TokenKeys::new(secrets.as_ref(), source)), rules))
    }

    /// Returns the provider with which the dashboard signs people in, if one is set.
    ///
    /// # Errors
    /// A message for people, which names the setting.
    pub fn provider(&self, with_tokens: bool) -> Result<Option<SignInProvider>, String> {
        let TokenRules { jwt_issuer, jwt_audience, .. } = &self.rules;
        let has_keys = with_tokens && self.jwt_jwks.is_some();
        self.sign_in.provider(jwt_issuer.as_deref(), jwt_audience.as_deref(), has_keys)
    }
}

/// Checks the path of a claim, whose type is private.
fn claim(text: &str) -> Result<String, String> {
    ClaimPath::parse(text).map(|_| text.to_owned())
}
