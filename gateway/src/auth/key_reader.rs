//! Reads the keys of tokens again: at each hangup, public keys also every ten minutes and when a
//! token names an unknown one. Keys that cannot be read leave the earlier ones in force, so that a
//! provider that is away lets nobody in and turns nobody out.

use std::time::Duration;

use galley_bus::{Backoff, LogLimiter};
use galley_launch::{Hangups, SecretArguments};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};

use super::Verifier;
use super::token_keys::{BETWEEN, TokenKeys};

/// Interval of the reads of public keys.
const EVERY: Duration = Duration::from_mins(10);
/// Waits after reads that failed.
const AFTER_FAILURE: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));

/// Reads the secrets of tokens again at each hangup.
pub async fn read_secrets(arguments: &SecretArguments, verifier: &Verifier) {
    let mut hangups = Hangups::listen();
    loop {
        hangups.next().await;
        match arguments.find() {
            Ok(Some(secrets)) => {
                verifier.replace(&secrets);
                info!("the secrets of tokens are read again");
            }
            Ok(None) => {}
            Err(error) => error!(error, "the secrets of tokens stay as they were"),
        }
    }
}

/// Keeps the public keys up to date.
pub async fn read_keys(keys: &TokenKeys) {
    let (mut hangups, log) = (Hangups::listen(), LogLimiter::default());
    let (mut backoff, mut failed) = (AFTER_FAILURE, false);
    loop {
        match keys.read().await {
            Ok(count) => {
                if std::mem::take(&mut failed) {
                    backoff.reset();
                    info!(count, "the keys of the identity provider are read again");
                }
            }
            Err(error) => {
                if let Some(more) = log.now() {
                    warn!(error, more, "the keys of tokens stay as they were");
                }
                failed = true;
            }
        }
        let (read, wait) = (Instant::now(), if failed { backoff.delay() } else { EVERY });
        tokio::select! {
            () = sleep(wait) => {}
            () = hangups.next() => {}
            // Not sooner after the last read, whoever asks.
            () = async {
                keys.asked().await;
                sleep_until(read + BETWEEN.min(wait)).await;
            } => {}
        }
    }
}
