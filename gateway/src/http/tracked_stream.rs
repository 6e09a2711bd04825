//! A connection below hyper: deadlines for request heads and for idle connections, problems in
//! place of hyper's own error answers, and the patience with clients that still send at its end.
//!
//! The accept loop makes one for each connection. An upgrade takes the stream out again. hyper has
//! one time-out for both the head and the idle time before it. They must differ. A slow head holds
//! memory and may be an attack. An idle connection is kept by a pool or a balancer on purpose, and
//! closing it can lose a request that cannot be repeated.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, Incoming, SizeHint};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::bare;
use super::lingering::Lingering;
use super::read_ahead::{CHUNKED, ReadAhead};
use crate::limits::rate::now;
use crate::limits::{self, Seat};

/// Longest time from the first byte of a request head to its end, and from the start of a
/// connection to its first byte.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle after an answer; it may take up to [`HEAD_TIMEOUT`] longer.
/// The pools of common balancers and proxies keep a connection for a minute, so they close it
/// first.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client may take nothing of its answer. The kernel takes bytes again when a third of
/// its send buffer is free, so a client must read about 2 KiB a second. An event stream ends by
/// itself after ten seconds, with a reason, so this is a little longer.
const STALLED: Duration = Duration::from_secs(12);

#[derive(Debug)]
pub struct TrackedStream {
    stream: TcpStream,
    progress: ConnectionProgress,
    /// Stage that the deadline is for; `None` if the deadline must be set anew.
    awaited: Option<RequestStage>,
    deadline: Pin<Box<Sleep>>,
    /// True once an idle connection has the deadline of a leaving gateway.
    is_leaving: bool,
    /// The problem in place of an answer of hyper's own, and how many of its bytes are written.
    refusal: Option<(Vec<u8>, usize)>,
    ahead: ReadAhead,
    /// The end of a connection whose client still sends.
    lingering: Option<Lingering>,
    /// The seat of the connection among those of its address, if these count.
    seat: Option<Seat>,
    /// The deadline of a write for which the kernel has no room.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// Extension of a request that had both `Content-Length` and `Transfer-Encoding`.
#[derive(Clone, Copy, Debug)]
pub struct AmbiguousLength;

/// The stage of a connection, shared by the connection and the handling of its requests.
#[derive(Clone, Debug, Default)]
pub struct ConnectionProgress(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    stage: AtomicU8,
    /// The length of the body of the last request.
    body: AtomicU64,
    /// True while its client may be sending that body.
    is_sending: AtomicBool,
    /// True if its head had two lengths.
    is_ambiguous: AtomicBool,
    /// True if bytes were read since the last request began.
    has_read: AtomicBool,
    /// The end of the last answer, on the clock of [`now`]; 0 before the first.
    answered: AtomicU64,
    /// How long the connection may be idle, set when the gateway leaves.
    quiet: OnceLock<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum RequestStage {
    /// Between requests.
    Idle,
    /// A request head has begun.
    Head,
    /// A request is being answered. It has deadlines of its own.
    Serving,
}

/// A request that is being answered. Dropping it ends the serving stage.
#[derive(Debug)]
pub struct Serving(ConnectionProgress);

/// The body of a request, which notes its end.
#[derive(Debug)]
pub struct ArrivingBody {
    body: Incoming,
    progress: ConnectionProgress,
}

/// The body of an answer. Dropping it ends the serving stage.
#[derive(Debug)]
pub struct TrackedBody {
    body: axum::body::Body,
    _serving: Serving,
}

impl TrackedStream {
    pub fn new(stream: TcpStream, progress: ConnectionProgress, seat: Option<Seat>) -> Self {
        let deadline = Box::pin(sleep(HEAD_TIMEOUT));
        Self {
            stream,
            progress,
            awaited: Some(RequestStage::Idle),
            deadline,
            is_leaving: false,
            refusal: None,
            ahead: ReadAhead::default(),
            lingering: None,
            seat,
            stalled: None,
        }
    }

    /// Waits until the client has sent something, or the time for the first byte is over, which the
    /// next read reports. Cancel safe.
    pub async fn first_byte(&mut self) {
        std::future::poll_fn(|context| {
            // tokio calls a new connection readable before it has asked the kernel.
            let mut byte = [0];
            match self.stream.poll_peek(context, &mut ReadBuf::new(&mut byte)) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => self.deadline.as_mut().poll(context),
            }
        })
        .await;
    }

    /// Returns the stream and its seat, for the protocol of an upgrade.
    pub fn into_stream(self) -> (TcpStream, Option<Seat>) {
        (self.stream, self.seat)
    }

    /// Sets the deadline if the connection has reached another stage.
    fn await_next(&mut self, stage: RequestStage) {
        if stage != RequestStage::Serving && self.awaited != Some(stage) {
            self.awaited = Some(stage);
            self.set_deadline(if stage == RequestStage::Idle {
                IDLE_TIMEOUT
            } else {
                HEAD_TIMEOUT
            });
        }
    }

    /// Reads whatever the kernel has buffered, even if tokio has not reported it yet. Returns true
    /// if there were bytes or EOF. After the process was paused, all deadlines are over at once,
    /// but tokio reports the bytes of thousands of connections one after another. A connection
    /// whose bytes came in time must not count as late.
    fn read_what_is_there(&self, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
        match rustix::net::recv(&self.stream, buffer.initialize_unfilled(), RecvFlags::DONTWAIT) {
            Ok((read, _)) => {
                buffer.advance(read);
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes bytes that hyper reads. Returns the stage that they begin or continue.
    fn note(&mut self, stage: RequestStage, read: &[u8]) -> RequestStage {
        self.progress.0.has_read.store(true, Ordering::Relaxed);
        if stage == RequestStage::Serving {
            self.ahead.note_more(read);
            return stage;
        }
        if stage == RequestStage::Idle {
            // The deadline of the head is set by the first read that finds no more bytes.
            self.progress.set(RequestStage::Head);
            self.awaited = None;
        }
        let ambiguous = self.ahead.note_head(read);
        self.progress.0.is_ambiguous.store(ambiguous, Ordering::Relaxed);
        RequestStage::Head
    }

    /// Cuts the connection if its client has taken nothing for [`STALLED`].
    fn write_in_time(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let deadline = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALLED)));
        ready!(deadline.as_mut().poll(context));
        limits::count("answer-time");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn set_deadline(&mut self, patience: Duration) {
        self.deadline.as_mut().reset(Instant::now() + patience);
    }
}

impl ConnectionProgress {
    pub fn serve(&self, body: &Incoming) -> Serving {
        self.0.body.store(body.size_hint().exact().unwrap_or(CHUNKED), Ordering::Relaxed);
        self.0.is_sending.store(!body.is_end_stream(), Ordering::Relaxed);
        self.set(RequestStage::Serving);
        Serving(self.clone())
    }

    /// Lets the other tasks have their turn if the request that is served came with the one before
    /// it: hyper would answer many of one client at a stretch.
    pub async fn give_way(&self) {
        if !self.0.has_read.swap(false, Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    }

    /// Returns true if the head of the request that is served had two lengths.
    pub fn is_ambiguous(&self) -> bool {
        self.0.is_ambiguous.load(Ordering::Relaxed)
    }

    /// Returns the body of the request that is served.
    pub fn arriving(&self, body: Incoming) -> ArrivingBody {
        ArrivingBody { body, progress: self.clone() }
    }

    /// Returns true if so much of the body has not arrived that the connection must end with the
    /// answer. hyper reads a short rest.
    pub fn must_end(&self, most: u64) -> bool {
        self.is_sending() && self.0.body.load(Ordering::Relaxed) > most
    }

    fn is_sending(&self) -> bool {
        self.0.is_sending.load(Ordering::Relaxed)
    }

    /// Closes the connection once it has been idle for `quiet`, because the gateway leaves. The
    /// task of the connection must poll it after this.
    pub fn leave(&self, quiet: Duration) {
        self.0.quiet.get_or_init(|| quiet);
    }

    /// Returns true after [`Self::leave`].
    pub fn is_leaving(&self) -> bool {
        self.0.quiet.get().is_some()
    }

    /// Returns true while a request is being answered.
    pub fn is_serving(&self) -> bool {
        self.stage() == RequestStage::Serving
    }

    /// Returns the end of the last answer, on the clock of [`now`]; 0 before the first.
    pub fn idle_since(&self) -> u64 {
        self.0.answered.load(Ordering::Relaxed)
    }

    fn stage(&self) -> RequestStage {
        match self.0.stage.load(Ordering::Relaxed) {
            0 => RequestStage::Idle,
            1 => RequestStage::Head,
            _ => RequestStage::Serving,
        }
    }

    fn set(&self, stage: RequestStage) {
        self.0.stage.store(stage as u8, Ordering::Relaxed);
    }
}

impl Serving {
    pub fn answer(self, body: axum::body::Body) -> TrackedBody {
        TrackedBody { body, _serving: self }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let progress = &self.0;
        progress.0.answered.store(now(), Ordering::Relaxed);
        progress.set(RequestStage::Idle);
    }
}

impl Body for ArrivingBody {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.progress.0.is_sending.store(false, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for TrackedBody {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl AsyncRead for TrackedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let mut stage = self.progress.stage();
        if stage == RequestStage::Idle
            && self.ahead.has_begun(self.progress.0.body.load(Ordering::Relaxed))
        {
            // hyper holds the beginning of the next head.
            stage = RequestStage::Head;
            self.progress.set(stage);
            self.awaited = None;
        }
        if buffer.filled().len() > before {
            stage = self.note(stage, &buffer.filled()[before..]);
        }
        // Nearly every head arrives whole: no deadline is set for it.
        if read.is_ready() {
            return read;
        }
        self.await_next(stage);
        if stage == RequestStage::Idle
            && !self.is_leaving
            && let Some(quiet) = self.progress.0.quiet.get().copied()
        {
            // Only once: no later poll may put the deadline off.
            self.is_leaving = true;
            self.set_deadline(quiet);
        }
        ready!(self.deadline.as_mut().poll(context));
        if stage == RequestStage::Serving {
            // The end of an answer does not wake the reader. It is noticed at the next of these
            // deadlines, which is cheaper than a wake-up for each answer.
            self.set_deadline(HEAD_TIMEOUT);
            ready!(self.deadline.as_mut().poll(context));
        }
        if self.read_what_is_there(buffer)? {
            self.note(stage, &buffer.filled()[before..]);
            return Poll::Ready(Ok(()));
        }
        if stage == RequestStage::Head {
            limits::count("head-time");
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, refusal, progress, .. } = &mut *self;
        if refusal.is_none() {
            *refusal = bare::problem(buffer).map(|problem| (problem, 0));
            if refusal.is_some() {
                progress.0.is_sending.store(true, Ordering::Relaxed);
            }
        }
        let Some((problem, written)) = refusal else {
            let written = Pin::new(stream).poll_write(context, buffer);
            return self.write_in_time(context, written);
        };
        while *written < problem.len() {
            *written += ready!(Pin::new(&mut *stream).poll_write(context, &problem[*written..]))?;
        }
        // hyper must believe that its own bytes were written.
        *refusal = None;
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper writes its own error answers as one buffer.
        if let [head] = buffers {
            return self.poll_write(context, head);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.write_in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.progress.is_sending() {
            return Pin::new(&mut self.stream).poll_shutdown(context);
        }
        let Self { stream, lingering, .. } = &mut *self;
        lingering.get_or_insert_default().poll(stream, context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write as _};
    use std::pin::pin;
    use std::task::Poll;

    use futures_util::poll;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;
    use tokio::time::advance;

    use super::{ConnectionProgress, HEAD_TIMEOUT, TrackedStream};

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    /// A connection whose deadline has passed, and its client.
    async fn overdue() -> (TrackedStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let client = std::net::TcpStream::connect(listener.local_addr().expect("an address"))
            .expect("a connection");
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut line = TrackedStream::new(stream, ConnectionProgress::default(), None);
        assert_eq!(read(&mut line).await, Poll::Pending, "nothing came yet");
        advance(HEAD_TIMEOUT).await;
        (line, client)
    }

    /// Reads once, without letting the runtime report anything in between.
    async fn read(line: &mut TrackedStream) -> Poll<Result<Vec<u8>, ErrorKind>> {
        let mut buffer = [0; 64];
        let read = poll!(pin!(line.read(&mut buffer)));
        read.map(|read| read.map(|length| buffer[..length].to_vec()).map_err(|error| error.kind()))
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_came_in_time_are_read_although_the_runtime_heard_of_the_deadline_first() {
        let (mut line, mut client) = overdue().await;
        client.write_all(HEAD).expect("room in the kernel");
        while rustix::io::ioctl_fionread(&line.stream).expect("an open stream") < HEAD.len() as u64
        {
            std::thread::yield_now();
        }
        assert_eq!(read(&mut line).await, Poll::Ready(Ok(HEAD.to_vec())));
        assert_eq!(read(&mut line).await, Poll::Pending, "the rest of a head has its own time");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_too_late() {
        let (mut line, _client) = overdue().await;
        assert_eq!(read(&mut line).await, Poll::Ready(Err(ErrorKind::TimedOut)));
    }
}
