//! The end of a connection whose client still sends.
//!
//! A request may be refused before its body has arrived. A connection that is dropped with unread
//! bytes is reset, and the client may lose the answer that says why. So the rest is read and
//! dropped for a while (RFC 9112 section 9.6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The longest time. A client that sends for longer is cut.
const LONGEST: Duration = Duration::from_secs(5);
/// The most bytes. A client that sends more is cut.
const MOST: usize = 16 * 1024 * 1024;
/// The bytes that are dropped at once.
const STEP: usize = 8 * 1_024;

#[derive(Debug)]
pub struct Lingering {
    deadline: Pin<Box<Sleep>>,
    /// True once the client knows that nothing more comes.
    is_shut: bool,
    dropped: usize,
}

impl Default for Lingering {
    fn default() -> Self {
        Self { deadline: Box::pin(sleep(LONGEST)), is_shut: false, dropped: 0 }
    }
}

impl Lingering {
    /// Ends the sending half. Ready when the client has ended the other one, or a bound is reached.
    pub fn poll(
        &mut self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
            self.is_shut = true;
        }
        let mut step = [0; STEP];
        while self.dropped < MOST && self.deadline.as_mut().poll(context).is_pending() {
            let mut read = ReadBuf::new(&mut step);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                break;
            }
            self.dropped += read.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}
