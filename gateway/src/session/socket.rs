//! The wire of one session: `tokio-tungstenite` on the upgraded connection, with small buffers, and a bound on how long a
//! write may make no progress.

#[cfg(feature = "conformance")]
pub mod echo;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use galley_protocol::close::CloseCode;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::wire::{Closed, Frame, STALLED, Wire, count_frame};
use crate::http::Line;
use crate::hub::Outbox;
use crate::metrics;

/// How long the closing handshake may take (RFC 6455 section 7.1.1).
const CLOSING: Duration = Duration::from_secs(2);
/// tungstenite fills its read buffer with zeros at each read and keeps it: small is cheap.
const READ_BUFFER: usize = 1_024;
/// Frames gathered before a write.
const WRITE_BUFFER: usize = 8 * 1_024;

/// The wire of one session.
#[derive(Debug)]
pub struct Socket(WebSocketStream<Counted>);

/// What came from the peer.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Text(Utf8Bytes),
    /// A ping or pong.
    Control,
    /// The end.
    Closed(Closed),
}

impl Socket {
    /// Takes an upgraded connection over, and tells `outbox` when the peer shows that it lives by taking bytes.
    pub async fn new(upgraded: Upgraded, max_message: usize, outbox: Arc<Outbox>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(usize::MAX) // one frame at a time goes in, and waits for its predecessors
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let parts = upgraded.downcast::<TokioIo<Line>>().expect("the accept loop does not wrap it");
        let stream = parts.io.into_inner().into_stream();
        trust_to_progress(&stream);
        let counted = Counted { stream, written: 0, full: false, outbox };
        Self(WebSocketStream::from_partially_read(counted, parts.read_buf.into(), Role::Server, Some(config)).await)
    }

    /// Waits for the peer. Safe to drop while it waits.
    pub async fn hear(&mut self) -> Heard {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => {
                ::metrics::counter!(metrics::FRAMES_IN).increment(1);
                ::metrics::counter!(metrics::BYTES_IN).increment(text.len() as u64);
                Heard::Text(text)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Heard::Control,
            Some(Ok(Message::Close(_))) => Heard::Closed(Closed::ByPeer),
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => Heard::Closed(Closed::With(CloseCode::BadProtocol)),
            Some(Err(error)) => Heard::Closed(closed(&error)),
            None => Heard::Closed(Closed::Gone),
        }
    }

    /// Sends an answer at once.
    pub async fn send(&mut self, answer: String) -> Result<(), Closed> {
        self.feed(answer).await?;
        self.flush().await
    }

    /// Gathers an answer for the next flush.
    pub async fn feed(&mut self, answer: String) -> Result<(), Closed> {
        self.put_message(Message::text(answer)).await
    }

    /// Ends the session: tells the peer, when there is one, and waits a little for its answer.
    pub async fn close(mut self, why: Closed) {
        why.count();
        let goodbye = match why {
            Closed::Gone => return,
            Closed::ByPeer => None,
            Closed::With(code) => Some(CloseFrame { code: WireCode::from(code.code()), reason: code.reason().into() }),
        };
        // Whatever happens, the connection is dropped afterwards.
        let _ = tokio::time::timeout(CLOSING, async {
            match goodbye {
                Some(goodbye) => self.0.close(Some(goodbye)).await?,
                // The answer to the peer's close is there already, and nothing can be sent after it.
                None => self.0.flush().await?,
            }
            while self.0.next().await.transpose()?.is_some() {}
            Ok::<(), Error>(())
        })
        .await;
    }

    async fn put_message(&mut self, message: Message) -> Result<(), Closed> {
        loop {
            let before = self.0.get_ref().written;
            let ready = std::future::poll_fn(|context| Pin::new(&mut self.0).poll_ready_unpin(context));
            match tokio::time::timeout(STALLED, ready).await {
                Ok(ready) => {
                    ready.map_err(|error| closed(&error))?;
                    break;
                }
                Err(_) if self.0.get_ref().written > before => {}
                Err(_) => return Err(Closed::With(CloseCode::TryLater)),
            }
        }
        count_frame(message.len());
        self.0.start_send_unpin(message).map_err(|error| closed(&error))
    }
}

impl Wire for Socket {
    async fn put(&mut self, frame: Frame) -> Result<(), Closed> {
        match Utf8Bytes::try_from(frame.text) {
            Ok(text) => self.put_message(Message::Text(text)).await,
            // Frames come from our own encoder, through a bus that refuses what is not UTF-8.
            Err(_) => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), Closed> {
        loop {
            let before = self.0.get_ref().written;
            match tokio::time::timeout(STALLED, self.0.flush()).await {
                Ok(flushed) => return flushed.map_err(|error| closed(&error)),
                Err(_) if self.0.get_ref().written > before => {}
                Err(_) => return Err(Closed::With(CloseCode::TryLater)),
            }
        }
    }

    async fn ping(&mut self) -> Result<(), Closed> {
        self.put_message(Message::Ping(Bytes::new())).await?;
        self.flush().await
    }
}

/// Takes the accept loop's bound for acknowledgements back: the kernel counts it from when the peer's window closed, and not from
/// the last byte that was acknowledged, so that it would cut every peer that reads slowly. [`STALLED`] and the pings find those
/// that are gone.
fn trust_to_progress(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, 0) {
        tracing::debug!(%error, "a client left while it was taken over");
    }
}

fn closed(error: &Error) -> Closed {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Closed::With(CloseCode::TooBig),
        Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_) => Closed::With(CloseCode::BadProtocol),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Tls(_)
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => Closed::Gone,
    }
}

/// A connection that counts the bytes it has taken.
#[derive(Debug)]
struct Counted {
    stream: TcpStream,
    written: u64,
    /// The kernel took no more the last time.
    full: bool,
    outbox: Arc<Outbox>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(context, buffer) else {
            self.full = true;
            return Poll::Pending;
        };
        let written = written?;
        self.written += written as u64;
        if std::mem::take(&mut self.full) {
            // There is room again, because the peer has taken something. Its pong may be far behind: so is our ping.
            self.outbox.heard();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
