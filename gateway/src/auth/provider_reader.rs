//! Reads the secrets of tokens again, and the documents of the identity provider. What cannot be read
//! leaves the earlier ones in force, so that a provider that is away lets nobody in and turns nobody
//! out.

use std::future::pending;
use std::time::Duration;

use galley_bus::{Backoff, LogLimiter};
use galley_launch::{Hangups, SecretArguments};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};

use super::sign_in_provider::SignInProvider;
use super::token_keys::{BETWEEN, TokenKeys};
use super::verifier::Verifier;

/// Interval of the reads of a document.
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

/// Keeps the public keys up to date, also when a token names an unknown one.
pub async fn read_keys(keys: &TokenKeys) {
    keep_fresh(|| async { keys.read().await.map(drop) }, || keys.asked()).await;
}

/// Keeps the endpoints where people sign in up to date.
pub async fn read_endpoints(provider: &SignInProvider) {
    keep_fresh(|| async { provider.read().await.map(drop) }, pending).await;
}

/// Reads a document every ten minutes, at each hangup, and when somebody asks, but then not sooner
/// than a few seconds after the last read.
async fn keep_fresh<R, A>(read: impl Fn() -> R, asked: impl Fn() -> A)
where
    R: Future<Output = Result<(), String>>,
    A: Future<Output = ()>,
{
    let (mut hangups, log) = (Hangups::listen(), LogLimiter::default());
    let (mut backoff, mut failed) = (AFTER_FAILURE, false);
    loop {
        match read().await {
            Ok(()) => {
                if std::mem::take(&mut failed) {
                    backoff.reset();
                    info!("the documents of the identity provider are read again");
                }
            }
            Err(error) => {
                if let Some(more) = log.now() {
                    warn!(error, more, "what the identity provider said last stays in force");
                }
                failed = true;
            }
        }
        let (last, wait) = (Instant::now(), if failed { backoff.delay() } else { EVERY });
        tokio::select! {
            () = sleep(wait) => {}
            () = hangups.next() => {}
            () = async {
                asked().await;
                sleep_until(last + BETWEEN.min(wait)).await;
            } => {}
        }
    }
}
