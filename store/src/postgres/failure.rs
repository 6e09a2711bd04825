//! The reasons why there is no connection to `PostgreSQL`, with advice and without a password.

use std::io::ErrorKind;

use galley_protocol::network::reason;
use sqlx::Error;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;

use crate::{StoreConnectError, StoreError};

pub(super) fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("PostgreSQL at {}/{database}", server(options))
}

fn server(options: &PgConnectOptions) -> String {
    let host = options
        .get_socket()
        .map_or_else(|| options.get_host().into(), |path| path.to_string_lossy());
    format!("{host}:{}", options.get_port())
}

fn said(error: &Error) -> String {
    if let Error::Io(error) = error {
        return reason(error);
    }
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// SQLSTATE: 28 authentication, 3D000 no such database, 42501 permission.
pub(super) fn of_connecting(options: &PgConnectOptions, error: &Error) -> StoreConnectError {
    let (place, said) = (place(options), said(error));
    let refused = StoreConnectError::Refused;
    let code = error.as_database_error().and_then(DatabaseError::code);
    match (error, code.as_deref()) {
        (_, Some(code)) if code.starts_with("28") => refused(format!(
            "cannot log in to {place}: {said}; check user and password in DATABASE_URL"
        )),
        (_, Some("3D000")) => refused(format!(
            "cannot use {place}: {said}; create it, or name another in DATABASE_URL"
        )),
        (_, Some("42501")) => refused(format!(
            "cannot use {place}: {said}; grant it to the user {} in DATABASE_URL",
            options.get_username()
        )),
        (Error::Tls(_), _) => {
            refused(format!("cannot speak TLS with {place}: {said}; check sslmode in DATABASE_URL"))
        }
        (Error::Configuration(_), _) => {
            refused(format!("cannot use {place}: {said}; check DATABASE_URL"))
        }
        (Error::Protocol(_), _) => refused(format!(
            "{} does not speak the protocol of PostgreSQL: {said}; check host and port in DATABASE_URL",
            server(options)
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

pub(super) fn of_reading(options: &PgConnectOptions, error: StoreError) -> StoreConnectError {
    let place = place(options);
    let passes = error.is_passing();
    match error {
        StoreError::Trouble(trouble, said) => {
            let why = format!("cannot use {place}: {}: {said}", trouble.words());
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
