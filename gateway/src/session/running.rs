//! A session from its welcome to its end.
//!
//! Each client has one task, which holds almost no memory while it is idle. The [`stream`] is
//! common to both transports. On a WebSocket the client commands as well: while it is not idle, a
//! [`serve::Session`] reads its commands, and sends answers and frames.

mod catch_up;
mod command;
pub mod renewal;
mod serve;
pub mod stream;

use std::task::Poll;

use galley_protocol::close::CloseCode;
use tokio_util::sync::CancellationToken;

use super::wire::event_stream::EventStream;
use super::wire::socket::Socket;
use super::wire::{Closed, Frame, say};
use crate::auth::Who;
use crate::limits::Meter;
use serve::Session;
use stream::Stream;

/// An admitted socket: everything that is in memory for it while it is idle.
pub struct Connection {
    stream: Stream,
    socket: Socket,
    /// The part of its rate that the client has used.
    pace: Meter,
    /// The caller of the token that opened the socket; `None` without authentication.
    who: Option<Who>,
}

impl Connection {
    /// Returns the connection of a client that has its welcome.
    pub fn new(stream: Stream, socket: Socket, who: Option<Who>) -> Self {
        Self { stream, socket, pace: Meter::default(), who }
    }

    /// Serves the client until either side closes. The state of a busy client is boxed, and dropped
    /// as soon as the client is idle.
    pub async fn run(mut self: Box<Self>) {
        loop {
            let Self { stream, socket, pace, who } = &mut *self;
            if let Err(closed) = Box::pin(Session::new(stream, pace, *who).serve(socket)).await {
                return Box::pin(self.socket.close(closed)).await;
            }
            self.rest().await;
        }
    }

    /// Waits until there is something to do. Meanwhile updates bypass this task: they are written
    /// straight to the connection.
    async fn rest(&mut self) {
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
    welcome: Frame,
    mut wire: EventStream,
    cut: CancellationToken,
) {
    let closed = follow(stream, welcome, &mut wire).await;
    closed.count();
    // After a goodbye the body just ends. A stuck connection would never reach the end of the
    // body.
    if !matches!(closed, Closed::With(CloseCode::Restart | CloseCode::TokenExpired))
        && !wire.is_gone()
    {
        cut.cancel();
    }
}

async fn follow(mut stream: Stream, welcome: Frame, wire: &mut EventStream) -> Closed {
    let mut said = say(wire, welcome).await;
    loop {
        if let Err(closed) = said {
            return closed;
        }
        said = tokio::select! {
            () = wire.gone() => Err(Closed::Gone),
            event = stream.next() => stream.say(event, wire).await,
        };
    }
}
