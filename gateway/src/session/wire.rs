//! What a stream needs of the wire that carries its frames: a WebSocket, or the body of an event
//! stream.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use galley_protocol::SignedCursor;
use galley_protocol::close::CloseCode;
use galley_protocol::frame::ServerFrame;

use crate::hub::Notice;
use crate::metrics;

/// A peer whose connection takes no byte for so long is closed with 1013. The kernel takes bytes
/// again when a third of its send buffer is free: so a peer must read about 2 KiB a second.
pub const STALLED: Duration = Duration::from_secs(10);

/// How long the last answers may take when the peer ends the session: longer than the database
/// works on a batch.
const ASKED_TO_END: Duration = Duration::from_secs(10);
/// The same when this side does. An answer that takes longer is lost.
const ENDING: Duration = Duration::from_secs(2);

/// Carries frames to one client.
pub trait Wire: Send {
    /// Gathers a frame for the next flush.
    fn put(&mut self, frame: Frame) -> impl Future<Output = Result<(), Closed>> + Send;
    /// Sends what was gathered.
    fn flush(&mut self) -> impl Future<Output = Result<(), Closed>> + Send;
    /// Sends something that finds out whether the peer lives.
    fn ping(&mut self) -> impl Future<Output = Result<(), Closed>> + Send;
}

/// A frame on its way.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its `type`.
    pub kind: &'static str,
    /// Where a client resumes that has it.
    pub cursor: Option<SignedCursor>,
    /// When a client shall come back whose stream has ended.
    pub retry: Option<Duration>,
    /// One line of JSON.
    pub text: Bytes,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer closed with this code, if any, which is to be echoed.
    ByPeer(Option<u16>),
    /// The peer sends nothing more, without a word; it may still read.
    HungUp,
    /// The peer is gone; there is nobody to tell.
    Gone,
    /// This side closes.
    With(CloseCode),
}

impl From<&ServerFrame<'_>> for Frame {
    fn from(frame: &ServerFrame<'_>) -> Self {
        Self {
            kind: frame.kind(),
            cursor: frame.cursor(),
            retry: None,
            text: frame.encode().into(),
        }
    }
}

impl From<Notice> for Frame {
    fn from(update: Notice) -> Self {
        let kind = if update.status.is_some() { "order" } else { "deleted" };
        Self { kind, cursor: Some(update.mark.signed), retry: None, text: update.frame.clone() }
    }
}

impl Closed {
    /// How long the answers to what the peer said before may take; nothing when nobody reads them.
    /// Nobody waits for a gateway that leaves as long as for one whose own peer asked it to end.
    pub const fn last_answers(self) -> Option<Duration> {
        match self {
            Self::ByPeer(_) | Self::HungUp => Some(ASKED_TO_END),
            Self::Gone | Self::With(CloseCode::TryLater) => None,
            Self::With(_) => Some(ENDING),
        }
    }

    /// Counts the end of a session.
    pub fn count(self) {
        let code = match self {
            Self::Gone | Self::HungUp => 0,
            Self::ByPeer(_) => CloseCode::Normal.code(),
            Self::With(code) => code.code(),
        };
        ::metrics::counter!(metrics::SOCKETS_CLOSED, "code" => code.to_string()).increment(1);
    }
}

/// Sends a frame at once.
pub async fn say(wire: &mut impl Wire, frame: Frame) -> Result<(), Closed> {
    wire.put(frame).await?;
    wire.flush().await
}
