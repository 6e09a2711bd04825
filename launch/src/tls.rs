//! TLS of the programs: its cryptography, and the authorities that clients of a gateway trust.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};
use rustls::{ClientConfig, RootCertStore};

/// Makes *ring* the provider of rustls for the whole process. Every program calls this first:
/// rustls panics at the first TLS connection of a process without a provider.
pub fn install_tls_provider() {
    // Fails only if a provider is there already, which does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Returns the TLS settings of a client that trusts the authorities of this PEM file alone, or
/// without a file those of the system.
///
/// # Errors
/// A message for people: the file cannot be read or holds no certificate, or the system has none.
pub fn tls_client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let roots = galley_bus::trusted_authorities("--ca-file", ca_file)?;
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

/// Returns the TLS settings of a client that opens no TLS connection: it trusts nobody. They are
/// there because reading the authorities of the system takes milliseconds.
#[must_use]
pub fn no_tls() -> Arc<ClientConfig> {
    Arc::new(
        ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth(),
    )
}

/// Begins an HTTP client of another service, which trusts the authorities of the system and follows
/// no redirection. `patience` is the longest wait for a whole answer.
///
/// # Errors
/// A message for people: the address is `https`, and the system has no authorities.
pub fn client_of_service(url: &Url, patience: Duration) -> Result<ClientBuilder, String> {
    let tls = if url.scheme() == "https" { tls_client(None)? } else { no_tls() };
    let client = Client::builder().timeout(patience).redirect(Policy::none());
    Ok(client.tls_backend_preconfigured(tls.as_ref().clone()))
}
