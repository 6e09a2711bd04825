//! Direct writes to the connection of an idle session, without waking its task.

use std::sync::Arc;

use rustix::net::SendFlags;
use tokio::net::TcpStream;

/// The connection of an idle session, to which the hub may write; `None` while the session is busy.
#[derive(Debug, Default)]
pub struct DirectWriter(Option<Arc<TcpStream>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    All,
    /// Only this number of bytes was written. The session must write the remainder.
    Part(usize),
    /// No byte was written: the session is busy, or the connection takes nothing. The session finds
    /// out why when it writes.
    Nothing,
}

impl DirectWriter {
    pub fn open(&mut self, connection: &Arc<TcpStream>) {
        self.0.get_or_insert_with(|| Arc::clone(connection));
    }

    pub fn close(&mut self) {
        self.0 = None;
    }

    /// Writes whole frames, if the session is idle and the kernel has room.
    pub fn write(&self, frames: &[u8]) -> Written {
        let Some(connection) = &self.0 else { return Written::Nothing };
        // Does not ask tokio whether the socket is writable: that state would cost a cache miss per
        // socket, and nearly always says yes.
        match rustix::net::send(connection, frames, SendFlags::empty()) {
            Ok(written) if written == frames.len() => Written::All,
            Ok(written) if written > 0 => Written::Part(written),
            Ok(_) | Err(_) => Written::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::super::tests::{connection, read};
    use super::{DirectWriter, Written};

    #[tokio::test]
    async fn only_an_open_connection_is_written_to() {
        let (ours, mut theirs) = connection().await;
        let mut direct = DirectWriter::default();
        assert_eq!(direct.write(b"lost"), Written::Nothing);
        direct.open(&ours);
        direct.open(&ours);
        assert_eq!(direct.write(b"sent"), Written::All);
        direct.close();
        assert_eq!(direct.write(b"lost"), Written::Nothing);
        drop(ours);
        let mut sent = Vec::new();
        theirs.read_to_end(&mut sent).await.expect("the end");
        assert_eq!(sent, b"sent");
    }

    #[tokio::test]
    async fn a_full_kernel_takes_a_part_and_then_nothing() {
        let (ours, mut theirs) = connection().await;
        let mut direct = DirectWriter::default();
        direct.open(&ours);
        let frames = vec![7; 100_000];
        let mut whole = 0;
        let cut = loop {
            match direct.write(&frames) {
                Written::All => whole += 1,
                Written::Part(cut) => break cut,
                Written::Nothing => break 0, // the kernel was full to the byte
            }
        };
        assert!(cut < frames.len());
        assert_eq!(direct.write(&frames), Written::Nothing);
        let sent = frames.len() * whole + cut;
        assert_eq!(read(&mut theirs, sent).await, vec![7; sent]);
    }
}
