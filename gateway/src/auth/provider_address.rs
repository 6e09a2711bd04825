//! An address of the identity provider, whose documents are bounded in size and time.

use std::fmt;
use std::time::Duration;

use galley_launch::client_of_service;
use reqwest::{Client, Url};

/// The longest wait for the provider, from the connection to the last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest document in bytes.
pub const MOST: usize = 256 * 1_024;

/// The address of one document.
#[derive(Clone, Debug)]
pub struct ProviderAddress {
    client: Client,
    url: Url,
}

impl ProviderAddress {
    /// Parses an address.
    ///
    /// # Errors
    /// A message for people: an address without TLS to another machine, or the system has no
    /// certificate authorities.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = safe_url(text)?;
        let client = client_of_service(&url, PATIENCE)?.build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, url })
    }

    /// Reads the document once.
    ///
    /// # Errors
    /// A message for people.
    pub async fn read(&self, accepted: &'static str) -> Result<Vec<u8>, String> {
        let failed = |error: reqwest::Error| one_line(&error.without_url());
        let answer = self.client.get(self.url.clone()).header("accept", accepted);
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
}

impl fmt::Display for ProviderAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address may contain a password.
        let mut shown = self.url.clone();
        let _ = shown.set_password(None);
        shown.set_query(None);
        shown.fmt(formatter)
    }
}

/// Parses an address with TLS, or one of this machine.
///
/// # Errors
/// A message for people.
pub fn safe_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{text:?} is no address: {error}"))?;
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err("must be an address that begins with https://".to_owned()),
    }
}

/// The message about a document that is too large.
pub fn too_large() -> String {
    format!("it has more than {MOST} bytes")
}

/// The error with its causes.
fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
