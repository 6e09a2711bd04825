//! Signs messages for the bus, made without the service's own code, with the key in the database.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sqlx::{Connection as _, PgConnection};

/// The key of the messages of one service on `PostgreSQL`.
pub struct MessageSigner(Vec<u8>);

impl MessageSigner {
    /// Reads the key.
    pub async fn of(database_url: &str) -> Self {
        let mut database = PgConnection::connect(database_url).await.expect("the database answers");
        let secret: Vec<u8> = sqlx::query_scalar("select secret from cursor_key")
            .fetch_one(&mut database)
            .await
            .expect("the key of cursors");
        Self(code(&secret, b"messages on the bus"))
    }

    /// Returns the message with its signature for this channel.
    #[must_use]
    pub fn sign(&self, channel: &str, message: &str) -> String {
        let code = code(&self.0, format!("{channel}\n{message}").as_bytes());
        let (first, rest) = message.split_at(message.find('\n').unwrap_or(message.len()));
        format!("{first} mac={}{rest}", URL_SAFE_NO_PAD.encode(&code[..16]))
    }
}

fn code(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any key").chain_update(text);
    mac.finalize().into_bytes().to_vec()
}
