//! TLS to Redis: whom to trust and which certificate to show.
//!
//! The files are read again for connections that begin more than ten seconds after the last
//! reading, so renewed certificates need no restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::BusConnectError;

/// Time for which the files count as unchanged: many connections begin together.
const FRESH: Duration = Duration::from_secs(10);

/// The files for TLS connections to Redis, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTlsFiles {
    /// The certificates of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The own certificate, followed by those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// The key of the own certificate.
    pub key: Option<PathBuf>,
}

impl RedisTlsFiles {
    /// Returns an error if the files do not fit to the URL or to each other.
    pub(super) fn check(&self, is_tls: bool) -> Result<(), BusConnectError> {
        let bad = |why: &str| Err(BusConnectError::BadTls(why.to_owned()));
        if self.certificate.is_some() != self.key.is_some() {
            return bad("GALLEY_REDIS_CERT_FILE and GALLEY_REDIS_KEY_FILE need each other");
        }
        if *self != Self::default() && !is_tls {
            return bad("GALLEY_REDIS_CA_FILE, GALLEY_REDIS_CERT_FILE and GALLEY_REDIS_KEY_FILE \
                need rediss:// in REDIS_URL");
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(super) struct RedisTls {
    files: RedisTlsFiles,
    /// The last configuration and the moment of its reading.
    last: Mutex<Option<(Instant, Arc<ClientConfig>)>>,
}

impl RedisTls {
    pub(super) fn new(files: RedisTlsFiles) -> Self {
        Self { files, last: Mutex::default() }
    }

    /// Returns the configuration of a new connection. An error names the setting and the file.
    pub(super) async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        // Held while files are read: other callers wait and then use the same configuration.
        let mut last = self.last.lock().await;
        if let Some((at, config)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(config));
        }
        let files = self.files.clone();
        let reading = tokio::task::spawn_blocking(move || read(&files));
        let config = Arc::new(reading.await.map_err(io::Error::other)?.map_err(io::Error::other)?);
        *last = Some((Instant::now(), Arc::clone(&config)));
        Ok(config)
    }
}

/// Returns the authorities in this PEM file, or without a file those of the system.
///
/// # Errors
/// A message for people, which names the setting and the file.
pub fn trusted_authorities(setting: &str, file: Option<&Path>) -> Result<RootCertStore, String> {
    let roots = match file {
        Some(file) => certificates(setting, file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    // One that cannot be used, among many, is as good as none.
    if store.add_parsable_certificates(roots).0 == 0 {
        return Err(match file {
            Some(file) => format!("{setting}: no authority in {}", file.display()),
            None => format!("this system has no certificates of authorities: set {setting}"),
        });
    }
    Ok(store)
}

fn read(files: &RedisTlsFiles) -> Result<ClientConfig, String> {
    let store = trusted_authorities("GALLEY_REDIS_CA_FILE", files.ca.as_deref())?;
    let config = ClientConfig::builder().with_root_certificates(store);
    let (Some(certificate), Some(key_file)) = (&files.certificate, &files.key) else {
        return Ok(config.with_no_client_auth());
    };
    let chain = certificates("GALLEY_REDIS_CERT_FILE", certificate)?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| unusable("GALLEY_REDIS_KEY_FILE", key_file, &error))?;
    config.with_client_auth_cert(chain, key).map_err(|error| {
        format!("GALLEY_REDIS_CERT_FILE and GALLEY_REDIS_KEY_FILE do not fit together: {error}")
    })
}

fn certificates(setting: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let read = read.map_err(|error| unusable(setting, file, &error))?;
    if read.is_empty() {
        return Err(format!("{setting}: no certificate in {}", file.display()));
    }
    Ok(read)
}

fn unusable(setting: &str, file: &Path, error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error::{Io, NoItemsFound};
    let file = file.display();
    if let Io(error) = error {
        let why = galley_protocol::network::reason(error);
        return format!("{setting}: cannot read {file}: {why}");
    }
    if matches!(error, NoItemsFound) {
        return format!("{setting}: no key in {file}");
    }
    format!("{setting}: {file} is not in PEM: {error}")
}
