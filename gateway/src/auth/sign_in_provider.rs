//! The identity provider with which the dashboard signs people in (`OpenID` Connect). The gateway
//! only tells pages where its endpoints are. They are read like its keys: while the provider is
//! away the last ones stay, and nothing else of the gateway waits for them.

use std::sync::{PoisonError, RwLock};

use clap::Args;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::provider_address::{ProviderAddress, safe_url};

/// The default scope.
const SCOPE: &str = "openid";

/// The settings of signing in.
#[derive(Args, Clone, Debug)]
pub struct SignInConfig {
    /// Public client with which the dashboard signs people in at `GALLEY_JWT_ISSUER` (`OpenID`
    /// Connect, authorization code with PKCE); the address of the dashboard is its redirect URI.
    /// Needs `GALLEY_JWT_JWKS`. Default: none, a token is pasted
    #[arg(long, env = "GALLEY_OIDC_CLIENT", value_name = "CLIENT")]
    pub oidc_client: Option<String>,

    /// Scopes that the dashboard asks for, separated by spaces; `openid` is one of them. Some
    /// providers renew tokens only with `offline_access`. Default: openid
    #[arg(long, env = "GALLEY_OIDC_SCOPE", value_name = "SCOPES")]
    pub oidc_scope: Option<String>,
}

/// A provider that signs people in.
#[derive(Debug)]
pub struct SignInProvider {
    client: SignInClient,
    issuer: Url,
    document: ProviderAddress,
    endpoints: RwLock<Option<ProviderEndpoints>>,
}

/// The client of a page that signs people in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SignInClient {
    /// The issuer.
    #[schema(example = "https://login.example.org/realms/heroes")]
    issuer: String,
    /// The `client_id`.
    #[schema(example = "galley-dashboard")]
    client_id: String,
    /// The `scope`.
    #[schema(example = "openid")]
    scope: String,
    /// The `resource` (RFC 8707): the audience, if that is an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "https://galley.example.org/")]
    resource: Option<String>,
}

/// The endpoints of an identity provider, under the names of `OpenID` Connect Discovery 1.0.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ProviderEndpoints {
    /// Where people sign in.
    #[schema(example = "https://login.example.org/realms/heroes/auth")]
    authorization_endpoint: String,
    /// Where tokens are issued.
    #[schema(example = "https://login.example.org/realms/heroes/token")]
    token_endpoint: String,
    /// Where people sign out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "https://login.example.org/realms/heroes/logout")]
    end_session_endpoint: Option<String>,
    /// True if the answer to a sign-in must name the issuer (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    /// The algorithms of its ID tokens.
    #[serde(default)]
    #[schema(example = json!(["RS256"]))]
    id_token_signing_alg_values_supported: Vec<String>,
}

#[derive(Deserialize)]
struct ProviderDocument {
    issuer: String,
    #[serde(flatten)]
    endpoints: ProviderEndpoints,
}

impl SignInConfig {
    /// Returns the provider, if a client is set. `has_keys` is true if its tokens can be checked.
    ///
    /// # Errors
    /// A message for people, which names the setting.
    pub fn provider(
        &self,
        issuer: Option<&str>,
        audience: Option<&str>,
        has_keys: bool,
    ) -> Result<Option<SignInProvider>, String> {
        let Some(client_id) = &self.oidc_client else {
            return match &self.oidc_scope {
                None => Ok(None),
                Some(_) => Err("GALLEY_OIDC_SCOPE needs GALLEY_OIDC_CLIENT".to_owned()),
            };
        };
        let issuer = issuer.filter(|_| has_keys).ok_or(
            "GALLEY_OIDC_CLIENT needs GALLEY_AUTH=jwt, GALLEY_JWT_ISSUER and GALLEY_JWT_JWKS: where people sign in, \
             and the keys that check their tokens",
        )?;
        let wrong = |error: String| format!("GALLEY_JWT_ISSUER, with GALLEY_OIDC_CLIENT: {error}");
        let url = safe_url(issuer).map_err(wrong)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must have neither query nor fragment".to_owned()));
        }
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let scope = self.oidc_scope.clone().unwrap_or_else(|| SCOPE.to_owned());
        if !scope.split(' ').any(|name| name == SCOPE) {
            return Err("GALLEY_OIDC_SCOPE must name openid".to_owned());
        }
        let is_address = |text: &&str| text.starts_with("https://") || text.starts_with("http://");
        Ok(Some(SignInProvider {
            client: SignInClient {
                issuer: issuer.to_owned(),
                client_id: client_id.clone(),
                scope,
                resource: audience.filter(is_address).map(str::to_owned),
            },
            issuer: url,
            document: ProviderAddress::parse(&place).map_err(wrong)?,
            endpoints: RwLock::default(),
        }))
    }
}

impl SignInProvider {
    /// Returns the client of pages.
    #[must_use]
    pub fn client(&self) -> SignInClient {
        self.client.clone()
    }

    /// Returns the endpoints, once they were read.
    #[must_use]
    pub fn endpoints(&self) -> Option<ProviderEndpoints> {
        self.endpoints.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the origin to which pages must be able to connect: that of the tokens, or while it is
    /// not known, of the issuer.
    #[must_use]
    pub fn origin(&self) -> String {
        let known = self.endpoints().and_then(|endpoints| endpoints.token_endpoint.parse().ok());
        known.unwrap_or_else(|| self.issuer.clone()).origin().ascii_serialization()
    }

    /// Reads the endpoints once. If that fails the earlier ones stay. Returns the address where
    /// people sign in.
    ///
    /// # Errors
    /// A message for people, which names the document.
    pub async fn read(&self) -> Result<String, String> {
        let text = self.document.read("application/json").await;
        let endpoints = text.and_then(|text| parse(&text, &self.client.issuer));
        let endpoints = endpoints.map_err(|why| format!("cannot read {}: {why}", self.document))?;
        let place = endpoints.authorization_endpoint.clone();
        *self.endpoints.write().unwrap_or_else(PoisonError::into_inner) = Some(endpoints);
        Ok(place)
    }
}

/// Parses the document of this issuer. Each address is safe to show to a page.
fn parse(text: &[u8], issuer: &str) -> Result<ProviderEndpoints, String> {
    let document: ProviderDocument = serde_json::from_slice(text)
        .map_err(|error| format!("it is no description of a provider: {error}"))?;
    if document.issuer != issuer {
        return Err(format!("it is of the issuer {:?}", document.issuer));
    }
    let endpoints = document.endpoints;
    let ProviderEndpoints { authorization_endpoint, token_endpoint, end_session_endpoint, .. } =
        &endpoints;
    for place in [authorization_endpoint, token_endpoint].into_iter().chain(end_session_endpoint) {
        safe_url(place).map_err(|error| format!("{place:?}: {error}"))?;
    }
    Ok(endpoints)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::parse;

    const ISSUER: &str = "https://login.example/realms/heroes";

    fn document(name: &str, value: &Value) -> Vec<u8> {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": "http://127.0.0.1:4000/token",
        });
        document[name] = value.clone();
        document.to_string().into_bytes()
    }

    #[test]
    fn a_document_is_of_its_issuer_and_its_addresses_are_safe() {
        parse(&document("end_session_endpoint", &json!("https://login.example/out")), ISSUER)
            .expect("a good one");
        for (name, value, part) in [
            ("issuer", json!("https://login.example"), "it is of the issuer"),
            ("token_endpoint", json!("http://tokens.example/"), "begins with https://"),
            ("authorization_endpoint", json!("javascript:alert(1)"), "begins with https://"),
            ("end_session_endpoint", json!("out"), "is no address"),
            ("token_endpoint", json!(null), "no description of a provider"),
            ("token_endpoint", json!(["https://tokens.example"]), "no description of a provider"),
        ] {
            let error = parse(&document(name, &value), ISSUER).expect_err(name);
            assert!(error.contains(part), "{name} {value}: {error}");
        }
        parse(b"[]", ISSUER).expect_err("no object");
    }
}
