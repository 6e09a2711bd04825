//! TLS of the programs: its cryptography, and the authorities that clients of a gateway trust.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
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
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let cannot = |why: String| format!("cannot read the CA file {}: {why}", path.display());
        let bytes = std::fs::read(path).map_err(|error| cannot(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            let certificate = certificate.map_err(|error| cannot(error.to_string()))?;
            roots.add(certificate).map_err(|error| cannot(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(cannot("it holds no certificate in PEM form".to_owned()));
        }
    } else {
        // A single root that is too old or too new for rustls does not matter.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("the system trusts no certificate authority: install ca-certificates, or \
                        name a file with --ca-file"
                .to_owned());
        }
    }
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
