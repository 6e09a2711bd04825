//! A set of public keys (JWK set, RFC 7517 section 5) that check tokens.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The most keys of a set. Providers have two or three.
const MOST: usize = 64;
/// The shortest modulus of an RSA key in bytes (RFC 7518 section 3.3).
const LEAST_RSA: usize = 256;

/// The usable keys of a set.
#[derive(Debug, Default)]
pub struct KeySet(Vec<PublicKey>);

#[derive(Debug)]
struct PublicKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct JwkSetText {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Keys that are not for signatures, or of another kind, are passed over (RFC 7517
    /// section 5).
    ///
    /// # Errors
    /// A message for people, if the text is no such set or has no usable key.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let set: JwkSetText = serde_json::from_slice(text)
            .map_err(|error| format!("it is no set of keys, `{{\"keys\": […]}}`: {error}"))?;
        if set.keys.len() > MOST {
            return Err(format!("it has more than {MOST} keys"));
        }
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<PublicKey> = keys.filter_map(|key: Jwk| PublicKey::of(&key)).collect();
        if keys.is_empty() {
            return Err("it has no key for RS256 (of 2048 bits or more), ES256 or EdDSA".to_owned());
        }
        Ok(Self(keys))
    }

    /// Returns the key with this id for this algorithm. Without an id, the only key for the
    /// algorithm.
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut keys = self
            .0
            .iter()
            .filter(|key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id));
        let found = keys.next()?;
        (id.is_some() || keys.next().is_none()).then_some(&found.key)
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl PublicKey {
    fn of(jwk: &Jwk) -> Option<Self> {
        let of = |curve: &EllipticCurve, wanted, algorithm| (*curve == wanted).then_some(algorithm);
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) => {
                of(&key.curve, EllipticCurve::P256, Algorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) => {
                of(&key.curve, EllipticCurve::Ed25519, Algorithm::EdDSA)
            }
            AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) | _ => None,
        }?;
        let common = &jwk.common;
        let signs =
            common.public_key_use.as_ref().is_none_or(|r#use| *r#use == PublicKeyUse::Signature);
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let fits = common
            .key_algorithm
            .is_none_or(|named| Algorithm::try_from(named).is_ok_and(|named| named == algorithm));
        let key = DecodingKey::from_jwk(jwk).ok().filter(is_long)?;
        (signs && verifies && fits).then(|| Self { id: common.key_id.clone(), algorithm, key })
    }
}

/// Returns false for an RSA key that is too short to be safe.
fn is_long(key: &DecodingKey) -> bool {
    use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
    match key.kind() {
        RsaModulusExponent { n, .. } => {
            n.iter().skip_while(|byte| **byte == 0).count() >= LEAST_RSA
        }
        SecretOrDer(_) => true,
    }
}
