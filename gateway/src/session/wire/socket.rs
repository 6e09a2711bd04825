//! The wire of one session: WebSocket frames (RFC 6455) on the upgraded connection.
//!
//! Memory matters most: an idle socket holds its connection and a few words, but no buffer. An
//! incoming message is held from its first byte until it is complete, an outgoing frame until the
//! kernel has taken it. A write has no deadline as long as it makes progress.

mod decoder;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use galley_protocol::close_code::CloseCode;
use galley_protocol::{Language, jwt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{Closed, STALLED, Wire, WireFrame};
use crate::framing::put_frame;
use crate::http::TrackedStream;
use crate::hub::Outbox;
use crate::limits::Seat;
use crate::metrics;
use decoder::{Decoder, SocketMessage};

/// The longest closing handshake (RFC 6455 section 7.1.1).
const CLOSING: Duration = Duration::from_secs(2);
/// The longest closing handshake when the gateway stops: peers that vanished silently must not
/// delay the restart for which all others wait.
const CLOSING_TO_LEAVE: Duration = Duration::from_millis(500);
/// The most bytes of one read.
const READ: usize = 4 * 1_024;
/// The most frames of one socket before the other tasks get their turn. tokio would only count the
/// reads, and one read may hold hundreds of frames.
const TURN: u32 = 16;
/// The fragments of a message after which a socket is not read for [`PAUSE`]: they may be empty, so
/// a message of any length may have any number of them.
const FRAGMENTS: u32 = 64;
/// How long a socket is not read that sends too much of what costs nothing else.
const PAUSE: Duration = Duration::from_millis(5);
/// The bytes of a peer that are read after its close frame without a pause.
const TAIL: usize = 64 * 1_024;
/// The most frames of a peer that are read after our close frame, to find its own.
const LAST_FRAMES: usize = 1_000;
/// The bytes at which gathered frames are written.
const GATHERED: usize = 16 * 1_024;

#[derive(Debug)]
pub struct Socket {
    stream: Arc<TcpStream>,
    max_message: u32,
    /// The frames that were received since the other tasks had their turn.
    received: u32,
    /// The unfinished reads and writes; `None` while the socket is idle.
    busy: Option<Box<Busy>>,
    /// Notified when the peer takes bytes, which shows that it is alive.
    outbox: Arc<Outbox>,
    /// The seat of its connection, held until the socket ends.
    _seat: Option<Seat>,
}

#[derive(Debug)]
struct Busy {
    decoder: Decoder,
    /// The frames, or the remainder of one, that the kernel has not taken: those gathered, one
    /// more, and the pongs of one read.
    unsent: BytesMut,
    /// True if the kernel did not take everything at the last write.
    full: bool,
    /// The fragments that were received since the last pause.
    fragments: u32,
    /// The end of the pause in reading, if there is one.
    paused_until: Option<Instant>,
}

impl Busy {
    fn begin(read: BytesMut, max_message: u32) -> Self {
        let max_message = usize::try_from(max_message).unwrap_or(usize::MAX);
        Self {
            decoder: Decoder::new(read, max_message),
            unsent: BytesMut::new(),
            full: false,
            fragments: 0,
            paused_until: None,
        }
    }

    /// Counts a fragment. Returns true if a pause begins.
    fn note_fragment(&mut self) -> bool {
        self.fragments += 1;
        let is_last = self.fragments == FRAGMENTS;
        if is_last {
            self.fragments = 0;
            self.pause();
        }
        is_last
    }

    fn pause(&mut self) {
        self.paused_until = Some(Instant::now() + PAUSE);
    }

    fn of(busy: &mut Option<Box<Self>>, max_message: u32) -> &mut Self {
        busy.get_or_insert_with(|| Box::new(Self::begin(BytesMut::new(), max_message)))
    }
}

#[derive(Debug)]
pub enum SocketInput {
    Text(String),
    Binary(
        #[cfg_attr(
            not(feature = "conformance"),
            expect(dead_code, reason = "only /echo reads it")
        )]
        Vec<u8>,
    ),
    /// A ping or pong.
    Control,
    /// A part of a message, which is not its last one.
    Fragment,
    Closed(Closed),
}

impl Socket {
    pub fn new(upgraded: Upgraded, max_message: usize, outbox: Arc<Outbox>) -> Self {
        let max_message = u32::try_from(max_message).unwrap_or(u32::MAX);
        let parts = upgraded
            .downcast::<TokioIo<TrackedStream>>()
            .expect("the accept loop does not wrap it");
        let (stream, seat) = parts.io.into_inner().into_stream();
        trust_to_progress(&stream);
        let busy = Box::new(Busy::begin(parts.read_buf.into(), max_message));
        let stream = Arc::new(stream);
        let mut socket =
            Self { stream, max_message, received: 0, busy: Some(busy), outbox, _seat: seat };
        socket.become_idle();
        socket
    }

    /// Returns true if the kernel has taken everything, and the next bytes may be read at once.
    pub fn may_idle(&self) -> bool {
        self.busy.as_ref().is_none_or(|busy| busy.unsent.is_empty() && busy.paused_until.is_none())
    }

    /// The language of the reader.
    pub fn language(&self) -> Language {
        self.outbox.language()
    }

    /// Others may write to it while no bytes are unsent.
    pub fn connection(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Takes over the bytes for which the kernel had no room when another writer wrote.
    pub fn owe(&mut self, remainder: Bytes) {
        if !remainder.is_empty() {
            let busy = self.busy();
            busy.unsent = remainder.into();
            busy.full = true;
        }
    }

    /// Reads no more for [`PAUSE`].
    pub fn pause(&mut self) {
        self.busy().pause();
    }

    /// Becomes ready when the peer has sent something, or is gone.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_read_ready(context).map(|_| ())
    }

    /// Receives like [`Socket::receive`], but lets the other tasks, and the other events of this
    /// session, have their turn after each [`TURN`] frames. Cancel safe.
    pub async fn receive_in_turn(&mut self) -> SocketInput {
        if self.received >= TURN {
            self.received = 0;
            tokio::task::yield_now().await;
        }
        let input = self.receive().await;
        self.received += 1;
        input
    }

    /// Unsent bytes go out first, so a peer that takes no pong is not read. Cancel safe.
    pub async fn receive(&mut self) -> SocketInput {
        let mut has_fragment = false;
        loop {
            if let Err(closed) = self.flush().await {
                return SocketInput::Closed(closed);
            }
            if let Some(end) = self.busy.as_ref().and_then(|busy| busy.paused_until) {
                Box::pin(sleep_until(end)).await;
                self.busy().paused_until = None;
            }
            let decoded = self.busy.as_mut().map_or(Ok(None), |busy| busy.decoder.decode());
            self.become_idle();
            match decoded {
                Ok(Some(SocketMessage::Text(text))) => {
                    metrics::FRAMES_IN_COUNT.increment(1);
                    metrics::BYTES_IN_COUNT.increment(text.len() as u64);
                    return SocketInput::Text(text);
                }
                Ok(Some(SocketMessage::Binary(bytes))) => return SocketInput::Binary(bytes),
                Ok(Some(SocketMessage::Ping(payload))) => {
                    self.gather(OpCode::Control(Control::Pong), &payload);
                    return SocketInput::Control;
                }
                Ok(Some(SocketMessage::Pong)) => return SocketInput::Control,
                Ok(Some(SocketMessage::Fragment)) => {
                    has_fragment = true;
                    if self.busy().note_fragment() {
                        return SocketInput::Fragment;
                    }
                    continue;
                }
                Ok(Some(SocketMessage::Close(code))) => {
                    return SocketInput::Closed(Closed::ByPeer(code));
                }
                Ok(None) if has_fragment => return SocketInput::Fragment,
                Ok(None) => {}
                Err(code) => return SocketInput::Closed(Closed::With(code)),
            }
            match std::future::poll_fn(|context| self.poll_read(context)).await {
                Ok(0) => return SocketInput::Closed(Closed::HungUp),
                Err(_) => return SocketInput::Closed(Closed::Gone),
                Ok(_) => {}
            }
        }
    }

    pub async fn send(&mut self, answer: String) -> Result<(), Closed> {
        self.feed(answer).await?;
        self.flush().await
    }

    #[cfg(feature = "conformance")]
    pub async fn send_binary(&mut self, payload: &[u8]) -> Result<(), Closed> {
        self.gather(OpCode::Data(Data::Binary), payload);
        self.flush().await
    }

    pub async fn feed(&mut self, answer: String) -> Result<(), Closed> {
        self.put_text(answer.as_bytes()).await
    }

    /// Ends the session: sends a close frame if the peer is still there, and waits a little for its
    /// answer.
    pub async fn close(mut self, why: Closed) {
        why.count();
        let patience =
            if why == Closed::With(CloseCode::Restart) { CLOSING_TO_LEAVE } else { CLOSING };
        let farewell = async {
            match why {
                Closed::Gone => return Ok(()),
                Closed::HungUp => self.write_all().await?,
                // The peer's code is echoed as it came (section 5.5.1).
                Closed::ByPeer(code) => {
                    let code = code.map(u16::to_be_bytes);
                    self.gather(
                        OpCode::Control(Control::Close),
                        code.as_ref().map_or(&[], |code| &code[..]),
                    );
                    self.write_all().await?;
                }
                Closed::With(code) => {
                    let goodbye =
                        [&code.code().to_be_bytes()[..], code.reason().as_bytes()].concat();
                    self.gather(OpCode::Control(Control::Close), &goodbye);
                    self.write_all().await?;
                    // The frames of a flood are not decoded any more.
                    let mut left = if code == CloseCode::Flooding { 0 } else { LAST_FRAMES };
                    while left > 0
                        && !matches!(self.receive_in_turn().await, SocketInput::Closed(_))
                    {
                        left -= 1;
                    }
                }
            }
            self.drain().await.map_err(|_| Closed::Gone)
        };
        // Whatever happens, the connection is dropped afterwards.
        let _ = timeout(patience, farewell).await;
    }
}

impl Wire for Socket {
    async fn put(&mut self, frame: WireFrame) -> Result<(), Closed> {
        self.put_text(&frame.text).await
    }

    /// Writes everything. Cancel safe: the next flush goes on where this one stopped.
    async fn flush(&mut self) -> Result<(), Closed> {
        if self.write()? {
            return Ok(());
        }
        // Boxed, because waiting is rare: sessions that need not wait hold no timer.
        Box::pin(self.write_slowly(Self::may_go_on)).await
    }

    async fn ping(&mut self) -> Result<(), Closed> {
        self.gather(OpCode::Control(Control::Ping), b"");
        self.flush().await
    }
}

impl Socket {
    /// Reads until the peer ends: a connection that is dropped with unread bytes is reset, and the
    /// peer may lose our last frame. A peer that goes on and on is read slowly.
    async fn drain(&mut self) -> io::Result<()> {
        rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Write)?;
        let mut tail = 0;
        loop {
            self.busy = None;
            match std::future::poll_fn(|context| self.poll_read(context)).await? {
                0 => return Ok(()),
                read => tail += read,
            }
            if tail > TAIL {
                sleep(PAUSE).await;
            }
        }
    }

    /// Reads the bytes that have arrived. Holds no buffer while there are none.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            let Self { stream, max_message, busy, .. } = self;
            let decoder = &mut Busy::of(busy, *max_message).decoder;
            let read = stream.try_read_buf(decoder.room(READ));
            decoder.tidy();
            self.become_idle();
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    async fn put_text(&mut self, text: &[u8]) -> Result<(), Closed> {
        if self.unsent().len() >= GATHERED {
            self.flush().await?;
        }
        let said = self.language().messages_in(text);
        let text = said.as_deref().unwrap_or(text);
        metrics::count_frames(1, text.len());
        self.gather(OpCode::Data(Data::Text), text);
        Ok(())
    }

    fn gather(&mut self, opcode: OpCode, payload: &[u8]) {
        put_frame(&mut self.busy().unsent, opcode, payload);
    }

    /// Writes as much as the kernel takes. Returns true if that was all.
    fn write(&mut self) -> Result<bool, Closed> {
        let Some(busy) = &mut self.busy else { return Ok(true) };
        while !busy.unsent.is_empty() {
            match self.stream.try_write(&busy.unsent) {
                Ok(0) => return Err(Closed::Gone),
                Ok(written) => busy.unsent.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    busy.full = true;
                    return Ok(false);
                }
                Err(_) => return Err(Closed::Gone),
            }
            if std::mem::take(&mut busy.full) {
                // There is room again, because the peer has taken something. Its pong may come
                // late, because our ping is still behind other bytes.
                self.outbox.note_life();
            }
        }
        // Frees the memory of a burst for the idle time after it.
        busy.unsent = BytesMut::new();
        self.become_idle();
        Ok(true)
    }

    fn unsent(&self) -> &[u8] {
        self.busy.as_ref().map_or(&[], |busy| &busy.unsent)
    }

    fn busy(&mut self) -> &mut Busy {
        Busy::of(&mut self.busy, self.max_message)
    }

    /// Frees the memory of reads and writes if none is unfinished.
    fn become_idle(&mut self) {
        self.busy.take_if(|busy| {
            busy.unsent.is_empty() && busy.decoder.is_empty() && busy.paused_until.is_none()
        });
    }

    /// Returns an error if the socket must be closed: the session looks at its token, and at its
    /// hero, only between its writes.
    fn may_go_on(&self) -> Result<(), Closed> {
        if self.outbox.token_left(jwt::now()).is_zero() {
            return Err(Closed::With(CloseCode::TokenExpired));
        }
        if self.outbox.is_dismissed() {
            return Err(Closed::With(CloseCode::Policy));
        }
        Ok(())
    }

    /// Writes everything, whoever may still use the socket: the close frame follows it.
    async fn write_all(&mut self) -> Result<(), Closed> {
        self.write_slowly(|_| Ok(())).await
    }

    async fn write_slowly(
        &mut self,
        may_go_on: impl Fn(&Self) -> Result<(), Closed>,
    ) -> Result<(), Closed> {
        let (mut left, mut deadline) = (usize::MAX, Instant::now());
        while !self.write()? {
            may_go_on(self)?;
            if self.unsent().len() < left {
                (left, deadline) = (self.unsent().len(), Instant::now() + STALLED);
            }
            let writable = timeout_at(deadline, self.stream.writable())
                .await
                .map_err(|_| Closed::With(CloseCode::TryLater))?;
            writable.map_err(|_| Closed::Gone)?;
        }
        Ok(())
    }
}

/// Removes the `TCP_USER_TIMEOUT` that the accept loop has set. The kernel measures it from the
/// moment when the peer's window closed, not from the last acknowledged byte, so it would cut off
/// every slow reader. [`STALLED`] and the pings find peers that are gone.
fn trust_to_progress(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    match rustix::net::sockopt::set_tcp_user_timeout(stream, 0) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {} // a Unix socket has no such timeout
        Err(error) => tracing::debug!(%error, "a client left while it was taken over"),
    }
}
