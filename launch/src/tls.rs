//! TLS of the programs: its cryptography, and the authorities that clients of a gateway trust.

use std::path::Path;
use std::sync::Arc;

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
