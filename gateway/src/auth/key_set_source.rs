//! Where the set of public keys is: a file, or an address of the identity provider.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use galley_launch::client_of_service;
use reqwest::{Client, Url};

use super::key_set::KeySet;

/// The longest wait for the provider, from the connection to the last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest set in bytes.
const MOST: usize = 256 * 1_024;

/// The place of the keys.
#[derive(Clone)]
pub enum KeySetSource {
    File(PathBuf),
    Address(Client, Url),
}

impl KeySetSource {
    /// Parses the setting: an address if it begins with a scheme, else a path.
    ///
    /// # Errors
    /// A message for people: an address without TLS to another machine, or the system has no
    /// certificate authorities.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let url: Url = text.parse().map_err(|error| format!("{text:?} is no address: {error}"))?;
        let is_here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        match url.scheme() {
            "https" => {}
            "http" if is_here => {}
            _ => return Err("must be a file, or an address that begins with https://".to_owned()),
        }
        let client = client_of_service(&url, PATIENCE)?.build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self::Address(client, url))
    }

    /// Reads the set once.
    ///
    /// # Errors
    /// A message for people, which names the place.
    pub async fn read(&self) -> Result<KeySet, String> {
        let set = match self {
            Self::File(path) => read_file(path).await,
            Self::Address(client, url) => fetch(client, url.clone()).await,
        };
        set.and_then(|text| KeySet::parse(&text))
            .map_err(|why| format!("cannot read the keys of {self}: {why}"))
    }
}

impl fmt::Display for KeySetSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Address(_, url) => {
                // An address may contain a password.
                let mut shown = url.clone();
                let _ = shown.set_password(None);
                shown.set_query(None);
                shown.fmt(formatter)
            }
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

async fn fetch(client: &Client, url: Url) -> Result<Vec<u8>, String> {
    let failed = |error: reqwest::Error| one_line(&error.without_url());
    let answer = client.get(url).header("accept", "application/jwk-set+json, application/json");
    let mut answer = answer.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status()));
    }
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if text.len() + chunk.len() > MOST {
            return Err(too_large());
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

fn too_large() -> String {
    format!("it has more than {MOST} bytes")
}

/// The error with its causes.
fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
