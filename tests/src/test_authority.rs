//! A certificate authority that nobody else trusts, for servers that speak TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// A private certificate authority; its files are removed with it.
pub struct TestAuthority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM files.
pub struct TestCertificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key, readable by its owner alone.
    pub key: PathBuf,
}

impl Default for TestAuthority {
    fn default() -> Self {
        Self::new()
    }
}

impl TestAuthority {
    /// Makes a new authority with a key of its own.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.distinguished_name.push(DnType::CommonName, "Galley's test authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("a file");
        Self { folder, issuer: Issuer::new(parameters, key) }
    }

    /// The authority's own certificate, for clients that shall trust it.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The folder of all files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Issues a certificate for a server with these names and addresses.
    #[must_use]
    pub fn server(&self, hosts: &[&str]) -> TestCertificate {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut parameters = CertificateParams::new(hosts.clone()).expect("names");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(parameters, &format!("server-{}", hosts.join("-").replace(['*', ':'], "_")))
    }

    /// Issues a certificate for a client of this name.
    #[must_use]
    pub fn client(&self, name: &str) -> TestCertificate {
        let mut parameters = CertificateParams::default();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.distinguished_name.push(DnType::CommonName, name);
        self.issue(parameters, &format!("client-{name}"))
    }

    fn issue(&self, mut parameters: CertificateParams, stem: &str) -> TestCertificate {
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let signed = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let files = TestCertificate {
            certificate: self.path(&format!("{stem}.pem")),
            key: self.path(&format!("{stem}.key")),
        };
        fs::write(&files.certificate, signed.pem()).expect("a file");
        fs::write(&files.key, key.serialize_pem()).expect("a file");
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).expect("permissions");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Makes *ring* the provider of rustls for this process, once. Every client of the tests calls it:
/// rustls panics at the first TLS connection without a provider.
pub fn install_tls_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
