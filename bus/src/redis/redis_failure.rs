//! Errors of Redis: whether waiting can cure them, and their text, which never contains a password.

use std::error::Error;
use std::io;
use std::sync::Arc;

use galley_protocol::network::reason;
use redis::{ErrorKind, RedisError};

use super::dial::rustls_error;
use crate::BusConnectError;
use crate::BusError;

/// The codes of a state that passes: the server is starting or busy, or a cluster or replica is
/// about to get a new master.
const PASSING: [&str; 10] = [
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "READONLY",
    "NOREPLICAS",
    "MOVED",
    "ASK",
    "UNBLOCKED",
    "BUSY",
];

/// The codes of a server that may no longer be the right one: another may have taken over its name
/// or its slot.
const MISPLACED: [&str; 9] = [
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "READONLY",
    "NOREPLICAS",
    "MOVED",
    "ASK",
    "UNBLOCKED",
    "MISCONF",
];

/// An error in the words of Redis or of the operating system.
struct RedisErrorText {
    /// The first word of a server error.
    code: Option<String>,
    text: String,
}

impl RedisErrorText {
    fn of(error: &RedisError) -> Self {
        // A pipeline may have several errors; the first counts.
        let of_server = error
            .clone()
            .into_server_errors()
            .and_then(|errors| errors.first().map(|(_, error)| error.clone()));
        if let Some(error) = of_server {
            let text = error.details().map_or_else(
                || error.code().to_owned(),
                |details| format!("{} {details}", error.code()),
            );
            return Self { code: Some(error.code().to_owned()), text };
        }
        let text = io_error(error).map_or_else(|| own_words(error), reason);
        Self { code: error.code().map(str::to_owned), text }
    }

    fn is_passing(&self) -> bool {
        self.code.as_deref().is_some_and(|code| PASSING.contains(&code))
    }
}

/// Returns the text of an error of the library, without the name of its kind.
fn own_words(error: &RedisError) -> String {
    let whole = reason(&io::Error::other(error.to_string()));
    let text = whole.split(" - ").next().unwrap_or_default();
    error.detail().map_or_else(|| text.to_owned(), |detail| format!("{text}: {detail}"))
}

fn io_error(error: &RedisError) -> Option<&io::Error> {
    let source = error.source()?;
    let shared = || source.downcast_ref::<Arc<dyn Error + Send + Sync>>()?.downcast_ref();
    source.downcast_ref().or_else(shared)
}

/// Returns true if waiting does not cure the error.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    matches!(of_connecting("", error), BusConnectError::Refused(_))
}

/// Returns true if the connection cannot be used after the error. The next one resolves the name or
/// the slot again.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    is_misplaced(error) || error.is_io_error() || error.is_unrecoverable_error()
}

/// Returns true if the server may no longer be the right one.
pub(super) fn is_misplaced(error: &RedisError) -> bool {
    RedisErrorText::of(error).code.is_some_and(|code| MISPLACED.contains(&code.as_str()))
}

/// Returns why the Redis at `place` cannot be used, and what to do about it.
pub(super) fn of_connecting(place: &str, error: &RedisError) -> BusConnectError {
    let said = RedisErrorText::of(error);
    let text = &said.text;
    let refused = BusConnectError::Refused;
    match (error.kind(), said.code.as_deref()) {
        (_, Some("NOAUTH")) => refused(format!(
            "{place} asks for a password: put it into REDIS_URL (redis://:PASSWORD@HOST)"
        )),
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => {
            refused(format!("{place} refused the user or the password in REDIS_URL"))
        }
        (_, Some("NOPERM")) => refused(format!(
            "{place} does not allow its user in REDIS_URL what Galley needs: {text}"
        )),
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::RESP3NotSupported, _) => {
            refused(format!(
                "{place} does not speak the protocol of Redis 7: check host and port in REDIS_URL"
            ))
        }
        (ErrorKind::MasterNameNotFoundBySentinel, _) => {
            refused(format!("cannot find {place}: they do not know it; check REDIS_URL"))
        }
        _ if is_of_tls(error) => {
            let hint = tls_hint(error);
            refused(format!("cannot speak TLS with {place}: {text}; {hint}"))
        }
        (ErrorKind::InvalidClientConfig | ErrorKind::Client, _) => {
            refused(format!("cannot use {place}: {text}; check REDIS_URL"))
        }
        (_, Some(_)) if !said.is_passing() => {
            refused(format!("{place} refused: {text}; check REDIS_URL"))
        }
        _ => BusConnectError::Unreachable(format!("cannot reach {place}: {text}")),
    }
}

/// Returns true if the server does not speak TLS or its certificate is not trusted.
fn is_of_tls(error: &RedisError) -> bool {
    io_error(error).is_some_and(|error| rustls_error(error).is_some())
}

/// Returns what to do about an error of TLS.
fn tls_hint(error: &RedisError) -> &'static str {
    use rustls::{CertificateError, Error};
    match io_error(error).and_then(rustls_error) {
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => "name the authority of its certificate in GALLEY_REDIS_CA_FILE",
        Some(Error::InvalidCertificate(_)) => "check its certificate and the host in REDIS_URL",
        Some(Error::AlertReceived(_)) => {
            "it may want a certificate: set GALLEY_REDIS_CERT_FILE and GALLEY_REDIS_KEY_FILE"
        }
        _ => "check rediss:// in REDIS_URL",
    }
}

impl From<RedisError> for BusError {
    fn from(error: RedisError) -> Self {
        let said = RedisErrorText::of(&error);
        match said.code {
            Some(_) if !said.is_passing() => Self::Refused(said.text),
            _ => Self::Unreachable(said.text),
        }
    }
}
