//! A WebSocket in bare bytes: for peers that read slowly, or never, or do not answer as they
//! should.

use crate::raw_connection::{Opcode, RawConnection};
use crate::{Follower, Picture};

/// An upgraded connection, of which nobody reads more than is asked for.
#[derive(Debug)]
pub struct RawSocket {
    connection: RawConnection,
    hero: i64,
}

impl RawSocket {
    /// Opens a socket of a hero at the gateway at this URL. The kernel keeps about `receive_buffer`
    /// bytes that nobody has read.
    pub async fn open(gateway: &str, hero: i64, receive_buffer: u32) -> Self {
        let mut connection = RawConnection::open_narrow(gateway, receive_buffer).await;
        connection.upgrade(&format!("?hero_id={hero}"), "").await;
        Self { connection, hero }
    }

    /// The next frame; nothing at the end.
    pub async fn frame(&mut self) -> Option<(Opcode, Vec<u8>)> {
        self.connection.frame().await
    }

    /// Sends a frame.
    pub async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        self.connection.send_frame(opcode, payload).await;
    }

    /// Waits for the end of the connection without answering anything.
    pub async fn until_gone(&mut self) {
        self.connection.until_gone().await;
    }

    /// Goes on as an ordinary client, that takes in first what was read so far.
    pub async fn follow(self) -> Follower {
        let (stream, read) = self.connection.into_parts();
        Follower::take_over(stream, read, Picture::empty(self.hero, None)).await
    }
}
