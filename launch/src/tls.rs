//! The cryptography behind all TLS connections of a program.

/// Makes *ring* the provider of rustls for the whole process. Every program calls this first:
/// rustls panics at the first TLS connection of a process without a provider.
pub fn install_tls_provider() {
    // Fails only if a provider is there already, which does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
