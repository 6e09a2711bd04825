//! Where the set of public keys is: a file, or an address of the identity provider.

use std::fmt;
use std::path::PathBuf;

use super::key_set::KeySet;
use super::provider_address::{MOST, ProviderAddress, too_large};

/// The place of the keys.
#[derive(Clone)]
pub enum KeySetSource {
    File(PathBuf),
    Address(ProviderAddress),
}

impl KeySetSource {
    /// Parses the setting: an address if it begins with a scheme, else a path.
    ///
    /// # Errors
    /// A message for people, about the address.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            ProviderAddress::parse(text).map(Self::Address)
        } else {
            Ok(Self::File(PathBuf::from(text)))
        }
    }

    /// Reads the set once.
    ///
    /// # Errors
    /// A message for people, which names the place.
    pub async fn read(&self) -> Result<KeySet, String> {
        let set = match self {
            Self::File(path) => read_file(path).await,
            Self::Address(address) => {
                address.read("application/jwk-set+json, application/json").await
            }
        };
        set.and_then(|text| KeySet::parse(&text))
            .map_err(|why| format!("cannot read the keys of {self}: {why}"))
    }
}

impl fmt::Display for KeySetSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

async fn read_file(path: &PathBuf) -> Result<Vec<u8>, String> {
    let size = tokio::fs::metadata(path).await.map_err(|error| error.to_string())?.len();
    if usize::try_from(size).is_ok_and(|size| size <= MOST) {
        tokio::fs::read(path).await.map_err(|error| error.to_string())
    } else {
        Err(too_large())
    }
}
