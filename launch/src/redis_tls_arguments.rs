//! The settings for TLS connections to Redis.

use std::path::PathBuf;

use clap::Args;
use galley_bus::RedisTlsFiles;

/// Files in PEM for `rediss://`. New connections use them as they are then.
#[derive(Args, Clone, Debug)]
pub struct RedisTlsArguments {
    /// The certificates of the authorities that are trusted for `rediss://`, instead of the
    /// system's
    #[arg(long, env = "GALLEY_REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,
    /// The certificate that is shown to Redis with `rediss://`, with those that lead to its
    /// authority
    #[arg(long, env = "GALLEY_REDIS_CERT_FILE", value_name = "FILE")]
    pub redis_cert_file: Option<PathBuf>,
    /// The private key of that certificate
    #[arg(long, env = "GALLEY_REDIS_KEY_FILE", value_name = "FILE")]
    pub redis_key_file: Option<PathBuf>,
}

impl From<RedisTlsArguments> for RedisTlsFiles {
    fn from(files: RedisTlsArguments) -> Self {
        Self {
            ca: files.redis_ca_file,
            certificate: files.redis_cert_file,
            key: files.redis_key_file,
        }
    }
}
