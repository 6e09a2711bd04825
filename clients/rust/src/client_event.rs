//! The events of a client, in the order in which they happen.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use galley_protocol::frame::Received;
use galley_protocol::{Order, OrderId};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// The stand of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// A socket is being opened.
    Connecting,
    /// The gateway has said welcome.
    Connected,
    /// The connection is there, and the gateway has not answered for a few seconds. Commands are
    /// still sent, and wait.
    Unresponsive,
    /// The next attempt comes after the pause.
    Waiting {
        /// Why there is no connection.
        why: EndReason,
        /// The pause.
        pause: Duration,
    },
    /// The connection has ended for good.
    Closed {
        /// Why.
        why: EndReason,
    },
}

/// Why there is no connection, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndReason {
    /// The cause.
    pub cause: EndCause,
    /// A sentence.
    pub detail: String,
}

/// The cause of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// Nobody answers at the address.
    Unreachable,
    /// The certificate of the gateway is not trusted.
    Untrusted,
    /// The connection broke off.
    Lost,
    /// Nothing came for too long.
    Silent,
    /// The gateway restarts.
    Restart,
    /// The gateway is too busy, or leaves.
    Busy,
    /// The token is missing or has expired.
    Unauthorized,
    /// Not allowed here.
    Forbidden,
    /// There is no such hero.
    HeroNotFound,
    /// The gateway closed the connection for good, or no gateway is there.
    Refused,
    /// A frame was larger than `max_frame`.
    TooBig,
    /// The client was closed.
    Closed,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum ClientEvent {
    /// The connection stands elsewhere now.
    State(ClientState),
    /// A frame came. The picture of the orders has it already.
    Frame {
        /// The JSON as it came.
        text: Arc<str>,
        /// The frame.
        frame: Arc<Received>,
    },
    /// The picture of the orders has changed.
    Change {
        /// The new states.
        orders: Vec<Order>,
        /// The orders that are gone.
        deleted: Vec<OrderId>,
    },
    /// The reader was too slow: events are missing here, while `GalleyClient::orders` has the newest
    /// state of every order.
    Behind,
}

/// The events from now on, in a bounded buffer.
#[derive(Debug)]
pub struct ClientEvents(pub(crate) Receiver<ClientEvent>);

impl ClientEvents {
    /// Returns the next event; `None` when the client is gone. A call that is dropped loses none.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(_)) => Some(ClientEvent::Behind),
            Err(RecvError::Closed) => None,
        }
    }
}

impl ClientState {
    /// Returns true if there is a connection that takes commands.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Connected | Self::Unresponsive)
    }
}

impl EndCause {
    /// Returns the code, the same in every client.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Restart => "restart",
            Self::Busy => "busy",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::HeroNotFound => "hero-not-found",
            Self::Refused => "refused",
            Self::TooBig => "too-big",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}
