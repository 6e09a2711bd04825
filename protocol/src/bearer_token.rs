//! Bearer tokens on the wire. Only a gateway knows what they contain.

use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The most characters of a token.
pub const MAX_TOKEN: usize = 4_096;
/// The alphabet of a token (RFC 6750 section 2.1): no quotes in a header or sub-protocol.
const PATTERN: &str = "^[A-Za-z0-9._~+/-]+=*$";

/// A bearer token. Only the wire shows it, not `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

/// The error for a text that is not a token. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenError;

impl BearerToken {
    /// Checks that a text looks like a token.
    ///
    /// # Errors
    /// [`TokenError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let inner = text.trim_end_matches('=');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let good = text.len() <= MAX_TOKEN && !inner.is_empty() && inner.bytes().all(plain);
        good.then(|| Self(text.to_owned())).ok_or(TokenError)
    }

    /// Returns the token, to send or check it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken(…)")
    }
}

impl Serialize for BearerToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl PartialSchema for BearerToken {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_TOKEN));
        text.pattern(Some(PATTERN)).build().into()
    }
}

impl ToSchema for BearerToken {}

#[cfg(test)]
mod tests {
    use super::{BearerToken, MAX_TOKEN};

    #[test]
    fn a_token_is_of_few_characters_and_is_not_shown() {
        let token = BearerToken::parse("eyJh.eyJz-_.c2ln==").expect("a token");
        assert_eq!(
            (token.reveal(), format!("{token:?}").as_str()),
            ("eyJh.eyJz-_.c2ln==", "BearerToken(…)")
        );
        let long = "x".repeat(MAX_TOKEN + 1);
        for wrong in ["", "=", "a b", "a=b", "a\n", "é", "a,b", "\"a\"", &long] {
            assert!(BearerToken::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
