//! A WebSocket in bare bytes, for peers that read slowly or never, or answer wrongly.

use crate::raw_connection::{RawConnection, RawOpcode};
use crate::{Follower, HeroView};

/// An upgraded connection that is read only on demand.
#[derive(Debug)]
pub struct RawSocket {
    connection: RawConnection,
    hero: i64,
}

impl RawSocket {
    /// Opens a socket of a hero at the gateway at this URL, with a receive buffer of about
    /// `receive_buffer` bytes in the kernel.
    pub async fn open(gateway: &str, hero: i64, receive_buffer: u32) -> Self {
        let mut connection = RawConnection::open_narrow(gateway, receive_buffer).await;
        connection.upgrade(&format!("?hero_id={hero}"), "").await;
        Self { connection, hero }
    }

    /// The next frame; `None` at the end.
    pub async fn frame(&mut self) -> Option<(RawOpcode, Vec<u8>)> {
        self.connection.frame().await
    }

    /// Sends a frame.
    pub async fn send(&mut self, opcode: RawOpcode, payload: &[u8]) {
        self.connection.send_frame(opcode, payload).await;
    }

    /// Waits for the end of the connection without answering anything.
    pub async fn until_gone(&mut self) {
        self.connection.until_gone().await;
    }

    /// Turns it into an ordinary client, which first applies the bytes read so far.
    pub async fn follow(self) -> Follower {
        let (stream, read) = self.connection.into_parts();
        Follower::take_over(stream, read, HeroView::empty(self.hero, None)).await
    }
}
