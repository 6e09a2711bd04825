//! A session from its welcome to its end.
//!
//! Each client has one task, which holds almost no memory while it is idle. The
//! [`outgoing::Stream`] is common to both transports. On a WebSocket the client also sends
//! commands: while it is not idle, a [`socket_session::Session`] reads its commands, and sends
//! answers and frames.

mod catch_up;
mod execute;
mod flood;
pub mod outgoing;
pub mod renewal;
mod socket_session;

use std::task::Poll;

use galley_protocol::TraceContext;
use galley_protocol::close_code::CloseCode;
use galley_protocol::jwt::Who;
use tokio_util::sync::CancellationToken;

use super::wire::socket::Socket;
use super::wire::sse_wire::EventStream;
use super::wire::{Closed, WireFrame, send_frame};
use crate::hub::Hub;
use crate::limits::CallerKey;
use flood::FloodGauge;
use outgoing::Stream;
use socket_session::Session;

/// An admitted socket: everything that is in memory for it while it is idle.
pub struct Connection {
    stream: Stream,
    socket: Socket,
    /// The unit of its limits.
    key: CallerKey,
    flood: FloodGauge,
    /// The caller of the token that opened the socket; `None` without authentication.
    who: Option<Who>,
    /// The span that the handshake named.
    named: Option<Box<TraceContext>>,
}

impl Connection {
    pub fn new(stream: Stream, socket: Socket, key: CallerKey, who: Option<Who>) -> Self {
        Self { stream, socket, key, flood: FloodGauge::default(), who, named: None }
    }

    /// Sets the span that the handshake named: it causes the commands that name none.
    pub fn follow(&mut self, named: Option<Box<TraceContext>>) {
        self.named = named;
    }

    /// The state of a busy client is boxed, and dropped as soon as the client is idle.
    pub async fn run(mut self: Box<Self>) {
        loop {
            let Self { stream, socket, key, flood, who, named } = &mut *self;
            let session = Session::new(stream, *key, named.as_deref(), flood, *who);
            if let Err(closed) = Box::pin(session.serve(socket)).await {
                return Box::pin(self.socket.close(closed)).await;
            }
            self.become_idle().await;
        }
    }

    /// Waits until there is something to do. Meanwhile updates bypass this task: they are written
    /// straight to the connection.
    async fn become_idle(&mut self) {
        let (outbox, socket) = (self.stream.outbox(), &mut self.socket);
        std::future::poll_fn(|context| match outbox.poll_any(context, socket.connection()) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => socket.poll_readable(context),
        })
        .await;
        socket.owe(outbox.take_connection_back());
    }
}

/// Serves the client of an event stream until it ends. `cut` cuts the connection.
pub async fn run_events(
    stream: Stream,
    welcome: WireFrame,
    mut wire: EventStream,
    cut: CancellationToken,
) {
    let _counted = CountedStream::begin(stream.state().hub.clone());
    let closed = follow(stream, welcome, &mut wire).await;
    closed.count();
    // After a restart, an expired token or the deletion of its hero the peer still reads, and the
    // body just ends. Any other connection may be stuck and would never reach the end of the body,
    // so it is cut.
    let ends = [CloseCode::Restart, CloseCode::TokenExpired, CloseCode::Policy];
    if !ends.map(Closed::With).contains(&closed) && !wire.is_gone() {
        cut.cancel();
    }
}

/// An event stream, counted until it is dropped.
struct CountedStream(Hub);

impl CountedStream {
    fn begin(hub: Hub) -> Self {
        hub.counts().begin_stream();
        Self(hub)
    }
}

impl Drop for CountedStream {
    fn drop(&mut self) {
        self.0.counts().end_stream();
    }
}

async fn follow(mut stream: Stream, welcome: WireFrame, wire: &mut EventStream) -> Closed {
    let mut said = send_frame(wire, welcome).await;
    loop {
        if let Err(closed) = said {
            return closed;
        }
        said = tokio::select! {
            () = wire.gone() => Err(Closed::Gone),
            event = stream.next() => stream.send_event(event, wire).await,
        };
    }
}
