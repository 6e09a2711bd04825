//! Asks a server beyond this machine, before it is told a password, how it wants to be told.
//!
//! With `sslmode=prefer` and `allow`, a server may refuse TLS and then ask for the password in
//! clear text. sqlx would answer. This module therefore opens a connection of its own first. A
//! server that has TLS is used with TLS only. One without TLS is used if it does not ask for clear
//! text.

use std::io;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::database_address::ServerAddress;

/// The request for TLS: its length, and a version of the protocol that is none.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// The version 3.0 of the protocol.
const VERSION: [u8; 4] = [0, 3, 0, 0];
/// The beginning of the request for a password in clear text: `R`, a length, and the number 3.
const CLEAR_TEXT: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];

/// The options with which the server may be told the password.
pub(super) async fn safe(server: &ServerAddress) -> Result<PgConnectOptions, sqlx::Error> {
    let options = server.options.clone();
    if !server.is_opportunistic {
        return Ok(options);
    }
    let mut stream = TcpStream::connect((options.get_host(), options.get_port())).await?;
    stream.write_all(&SSL_REQUEST).await?;
    if stream.read_u8().await? == b'S' {
        return Ok(options);
    }
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    stream.write_all(&startup(options.get_username(), database)?).await?;
    let mut answer = [0; CLEAR_TEXT.len()];
    stream.read_exact(&mut answer).await?;
    if answer == CLEAR_TEXT {
        return Err(sqlx::Error::Tls(
            "it has no TLS and asks for the password in clear text, which is not sent".into(),
        ));
    }
    Ok(options.ssl_mode(PgSslMode::Disable))
}

fn startup(user: &str, database: &str) -> io::Result<Vec<u8>> {
    let mut message = VERSION.to_vec();
    for text in ["user", user, "database", database, ""] {
        message.extend(text.as_bytes());
        message.push(0);
    }
    let length = u32::try_from(message.len() + size_of::<u32>()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes(), message.as_slice()].concat())
}
