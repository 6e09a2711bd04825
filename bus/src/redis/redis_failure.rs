//! Errors of Redis: whether waiting can cure them, and their text, which never contains a password.

use std::error::Error;
use std::io;

use galley_protocol::network::reason;
use redis::{ErrorKind, RedisError};

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
        let of_system = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        let text = of_system.map_or_else(|| reason(&io::Error::other(error.to_string())), reason);
        Self { code: error.code().map(str::to_owned), text }
    }

    fn is_passing(&self) -> bool {
        self.code.as_deref().is_some_and(|code| PASSING.contains(&code))
    }
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
        _ if is_of_tls(error) => {
            refused(format!("cannot speak TLS with {place}: {text}; check rediss:// in REDIS_URL"))
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
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
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
