//! The reasons why there is no connection to `PostgreSQL`, with advice and without a password.

use std::io::ErrorKind;

use galley_protocol::network::reason;
use sqlx::Error;
use sqlx::error::DatabaseError;

use super::database_address::{DatabaseAddress, ServerAddress};
use crate::{StoreConnectError, StoreError};

pub(super) fn said(error: &Error) -> String {
    if let Error::Io(error) = error {
        return reason(error);
    }
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// SQLSTATE: 28 authentication, 3D000 no such database, 42501 permission. `PgBouncer` says 08P01
/// whatever happens.
pub(super) fn of_connecting(
    address: &DatabaseAddress,
    server: &ServerAddress,
    error: &Error,
) -> StoreConnectError {
    let (place, said) = (address.named(&server.place), said(error));
    let refused = StoreConnectError::Refused;
    let code = error.as_database_error().and_then(DatabaseError::code);
    match (error, code.as_deref()) {
        (_, Some(code)) if code.starts_with("28") && said.contains("pg_hba.conf") => {
            refused(format!(
                "cannot log in to {place}: {said}; check user, database and sslmode in DATABASE_URL"
            ))
        }
        (_, Some(code)) if code.starts_with("28") && said.contains("certificate") => refused(
            format!("cannot log in to {place}: {said}; check sslcert and sslkey in DATABASE_URL"),
        ),
        (_, Some(code)) if code.starts_with("28") || is_refused_by_pooler(code, &said) => refused(
            format!("cannot log in to {place}: {said}; check user and password in DATABASE_URL"),
        ),
        (_, Some("3D000")) => refused(format!(
            "cannot use {place}: {said}; create it, or name another in DATABASE_URL"
        )),
        (_, Some("42501")) => refused(format!(
            "cannot use {place}: {said}; grant it to the user {} in DATABASE_URL",
            server.options.get_username()
        )),
        (Error::Tls(_), _) => refused(of_tls(&place, &said)),
        // The TLS library reports a bad certificate, or an alert of the server, as bad data.
        (Error::Io(error), _) if error.kind() == ErrorKind::InvalidData => {
            refused(of_tls(&place, &said))
        }
        (Error::Configuration(_), _) => {
            refused(format!("cannot use {place}: {said}; check DATABASE_URL"))
        }
        // So the crate names a connection that ended before the answer to its first message.
        (Error::Protocol(_), _) if said.contains("SSLRequest: 0x00") => {
            let why = format!("cannot reach {place}: it closed the connection");
            StoreConnectError::Unreachable(why)
        }
        (Error::Protocol(_), _) if said.contains("authentication method") => {
            refused(format!("cannot log in to {place}: {said}; check pg_hba.conf and DATABASE_URL"))
        }
        (Error::Protocol(_), _) => refused(format!(
            "{} does not speak the protocol of PostgreSQL: {said}; check host and port in DATABASE_URL",
            server.place
        )),
        (Error::Io(error), _) if error.kind() == ErrorKind::PermissionDenied => refused(format!(
            "cannot open {place}: {said}; let this user into the folder of the socket"
        )),
        (error, _) if is_unreachable(error) => {
            StoreConnectError::Unreachable(format!("cannot reach {place}: {said}"))
        }
        _ => refused(format!("{place} refused: {said}")),
    }
}

fn of_tls(place: &str, said: &str) -> String {
    format!("cannot speak TLS with {place}: {said}; check sslmode and sslrootcert in DATABASE_URL")
}

/// `PgBouncer` also says 08P01 of a server that it cannot reach yet.
fn is_refused_by_pooler(code: &str, said: &str) -> bool {
    let reasons =
        ["authentication failed", "no such user", "no such database", "startup parameter"];
    code == "08P01" && reasons.iter().any(|reason| said.contains(reason))
}

/// The refusal of a pooler that shares sessions.
pub(super) fn of_pooling(place: &str) -> StoreConnectError {
    StoreConnectError::Refused(format!(
        "cannot use {place}: a pooler there shares sessions, so that locks would outlive their \
         process; set pool_mode = session for this database, or name the server itself in \
         DATABASE_URL"
    ))
}

pub(super) fn of_reading(place: &str, error: StoreError) -> StoreConnectError {
    let passes = error.is_passing();
    match error {
        StoreError::Trouble(trouble, said) => {
            let why = format!("cannot use {place}: {}: {said}", trouble.sentence());
            if passes {
                StoreConnectError::Unreachable(why)
            } else {
                StoreConnectError::Refused(why)
            }
        }
        StoreError::Unavailable(said) | StoreError::Contended(said) => {
            StoreConnectError::Unreachable(format!("cannot reach {place}: {said}"))
        }
        StoreError::Failed(said) => StoreConnectError::Refused(format!(
            "{place} refused: {said}; check the rights of its user"
        )),
    }
}

/// SQLSTATE: 08 connection, 53 resources, 57P0x shutdown or start.
fn is_unreachable(error: &Error) -> bool {
    match error.as_database_error().and_then(DatabaseError::code) {
        Some(code) => matches!(code.get(..2), Some("08" | "53")) || code.starts_with("57P0"),
        None => matches!(
            error,
            Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed
        ),
    }
}
