//! The interface of the wire that carries the frames of a stream: a WebSocket, or the body of an
//! event stream.

pub mod socket;
pub mod sse_wire;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use galley_protocol::SignedCursor;
use galley_protocol::close_code::CloseCode;
use galley_protocol::frame::ServerFrame;

use crate::hub::{Notice, ResourceFrame};
use crate::metrics;

/// The time without progress after which a peer is closed with 1013. The kernel takes bytes again
/// when a third of its send buffer is free, so a peer must read about 2 KiB a second.
pub const STALLED: Duration = Duration::from_secs(10);

/// The time for the last answers when the peer ends the session. It is longer than the database's
/// work on a batch.
const ASKED_TO_END: Duration = Duration::from_secs(10);
/// The time for the last answers when this side ends the session. An answer that takes longer is
/// lost.
const ENDING: Duration = Duration::from_secs(2);

/// Carries frames to one client.
pub trait Wire: Send {
    /// Gathers a frame for the next flush.
    fn put(&mut self, frame: WireFrame) -> impl Future<Output = Result<(), Closed>> + Send;
    /// Sends the gathered frames.
    fn flush(&mut self) -> impl Future<Output = Result<(), Closed>> + Send;
    /// Sends a ping or its equivalent, to find out if the peer is alive.
    fn ping(&mut self) -> impl Future<Output = Result<(), Closed>> + Send;
}

#[derive(Clone, Debug)]
pub struct WireFrame {
    pub kind: &'static str,
    /// The cursor from which a client that has this frame resumes, if any.
    pub cursor: Option<SignedCursor>,
    /// The time after which the client of an event stream reconnects; `None` to leave it unchanged.
    pub retry: Option<Duration>,
    /// One line of JSON.
    pub text: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer closed with this code, if any, which is echoed.
    ByPeer(Option<u16>),
    /// The peer ended its side of the connection without a close frame. It may still read.
    HungUp,
    /// The peer is gone, so no close frame can be sent.
    Gone,
    /// This side closes with this code.
    With(CloseCode),
}

impl From<&ServerFrame<'_>> for WireFrame {
    fn from(frame: &ServerFrame<'_>) -> Self {
        Self {
            kind: frame.kind(),
            cursor: frame.cursor(),
            retry: None,
            text: frame.encode().into(),
        }
    }
}

impl From<Notice> for WireFrame {
    fn from(update: Notice) -> Self {
        let kind = if update.status.is_some() { "order" } else { "deleted" };
        Self { kind, cursor: Some(update.mark.signed), retry: None, text: update.frame.clone() }
    }
}

impl From<ResourceFrame> for WireFrame {
    fn from(ResourceFrame { kind, text, .. }: ResourceFrame) -> Self {
        Self { kind, cursor: None, retry: None, text }
    }
}

impl Closed {
    /// Returns the time for the answers to earlier commands; `None` if the peer does not read them.
    /// Shorter when this side ends the session: the stop of a gateway must not take long.
    pub const fn last_answers(self) -> Option<Duration> {
        match self {
            Self::ByPeer(_) | Self::HungUp => Some(ASKED_TO_END),
            Self::Gone | Self::With(CloseCode::TryLater) => None,
            Self::With(_) => Some(ENDING),
        }
    }

    pub fn count(self) {
        let code = match self {
            Self::Gone | Self::HungUp => 0,
            Self::ByPeer(_) => CloseCode::Normal.code(),
            Self::With(code) => code.code(),
        };
        ::metrics::counter!(metrics::SOCKETS_CLOSED, "code" => code.to_string()).increment(1);
    }
}

pub async fn send_frame(wire: &mut impl Wire, frame: WireFrame) -> Result<(), Closed> {
    wire.put(frame).await?;
    wire.flush().await
}
