//! The wire of an event stream (WHATWG HTML, "Server-sent events"): a response body that does not
//! end.
//!
//! The session's task writes chunks, the connection takes them; one chunk waits between the two.
//! Chunks are small, because a taken chunk is the only visible sign of a peer's progress. That is
//! also why this is not axum's own `Sse`, which makes one chunk of each event, however large.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use galley_protocol::close_code::CloseCode;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Closed, STALLED, Wire, WireFrame};
use crate::hub::Outbox;
use crate::metrics;

/// The most bytes that the connection takes at once.
const CHUNK: usize = 4 * 1_024;

#[derive(Debug)]
pub struct EventStream {
    gathered: BytesMut,
    chunks: mpsc::Sender<Bytes>,
    /// Notified of every chunk that was taken: no other sign of life comes from the client.
    outbox: Arc<Outbox>,
}

impl EventStream {
    pub fn open(outbox: Arc<Outbox>) -> (Self, Body) {
        let (chunks, mut taken) = mpsc::channel(1);
        let body = stream::poll_fn(move |context| {
            taken.poll_recv(context).map(|chunk| chunk.map(Ok::<Bytes, Infallible>))
        });
        (Self { gathered: BytesMut::new(), chunks, outbox }, Body::from_stream(body))
    }

    /// Waits until the connection has dropped the body. Cancel safe.
    pub async fn gone(&self) {
        self.chunks.closed().await;
    }

    /// Returns true if the connection has dropped the body.
    pub fn is_gone(&self) -> bool {
        self.chunks.is_closed()
    }
}

impl Wire for EventStream {
    async fn put(&mut self, frame: WireFrame) -> Result<(), Closed> {
        let said = self.outbox.language().messages_in(&frame.text);
        let frame = WireFrame { text: said.map_or(frame.text, Bytes::from), ..frame };
        metrics::count_frames(1, frame.text.len());
        encode(&mut self.gathered, &frame);
        if self.gathered.len() < CHUNK { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), Closed> {
        while !self.gathered.is_empty() {
            let room = match timeout(STALLED, self.chunks.reserve()).await {
                Ok(room) => room.map_err(|_| Closed::Gone)?,
                Err(_) => return Err(Closed::With(CloseCode::TryLater)),
            };
            let size = self.gathered.len().min(CHUNK);
            room.send(self.gathered.split_to(size).freeze());
            self.outbox.note_life();
        }
        // Frees the memory of a burst for the idle time after it.
        self.gathered = BytesMut::new();
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Closed> {
        self.gathered.extend_from_slice(b":\n\n");
        self.flush().await
    }
}

/// Appends a frame as an event. A frame is one line of JSON, so one `data` field holds it.
fn encode(gathered: &mut BytesMut, WireFrame { kind, cursor, retry, text }: &WireFrame) {
    gathered.reserve(text.len() + 96);
    let write = |gathered: &mut BytesMut, line: std::fmt::Arguments<'_>| {
        gathered.write_fmt(line).expect("writing to memory does not fail");
    };
    write(gathered, format_args!("event: {kind}\n"));
    if let Some(cursor) = cursor {
        write(gathered, format_args!("id: {cursor}\n"));
    }
    if let Some(retry) = retry {
        write(gathered, format_args!("retry: {}\n", retry.as_millis()));
    }
    gathered.extend_from_slice(b"data: ");
    gathered.extend_from_slice(text);
    gathered.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::to_bytes;
    use galley_protocol::close_code::CloseCode;
    use galley_protocol::frame::ServerFrame;
    use galley_protocol::{ResumeCursor, SignedCursor};
    use galley_store::CursorKeys;
    use tokio::time::Instant;

    use super::{CHUNK, EventStream};
    use crate::hub::Outbox;
    use crate::session::wire::{Closed, STALLED, Wire as _, WireFrame};

    fn cursor() -> SignedCursor {
        CursorKeys::of(1, b"secret").sign(ResumeCursor::EXPIRED)
    }

    fn frame(size: usize) -> WireFrame {
        let text = format!("\"{}\"", "x".repeat(size)).into();
        WireFrame { kind: "order", cursor: Some(cursor()), retry: None, text }
    }

    #[tokio::test]
    async fn an_event_looks_like_this_for_ever() {
        let (mut wire, body) = EventStream::open(Arc::new(Outbox::new(1)));
        let reconnect = WireFrame::from(&ServerFrame::Reconnect { after_ms: 9 });
        wire.put(WireFrame { retry: Some(Duration::from_millis(9)), ..reconnect })
            .await
            .expect("room");
        wire.put(frame(1)).await.expect("room");
        wire.ping().await.expect("room");
        drop(wire);
        let whole = to_bytes(body, 1_000).await.expect("a short body");
        let cursor = cursor();
        let golden = format!(
            "event: reconnect\nretry: 9\ndata: {{\"type\":\"reconnect\",\"after_ms\":9}}\n\n\
             event: order\nid: {cursor}\ndata: \"x\"\n\n:\n\n"
        );
        assert_eq!(whole, golden);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up_and_one_that_takes_little_is_not() {
        let (mut wire, body) = EventStream::open(Arc::new(Outbox::new(1)));
        let began = Instant::now();
        assert_eq!(wire.put(frame(10 * CHUNK)).await, Err(Closed::With(CloseCode::TryLater)));
        assert_eq!(began.elapsed(), STALLED);
        drop(body);
        assert_eq!(wire.flush().await, Err(Closed::Gone));

        let (mut wire, body) = EventStream::open(Arc::new(Outbox::new(1)));
        let reading = tokio::spawn(async move {
            let mut body = body.into_data_stream();
            let mut read = 0;
            while let Some(chunk) = futures_util::StreamExt::next(&mut body).await {
                read += chunk.expect("no error").len();
                tokio::time::advance(STALLED.mul_f64(0.9)).await;
            }
            read
        });
        wire.put(frame(10 * CHUNK)).await.expect("it is taken in time");
        drop(wire);
        assert!(reading.await.expect("no panic") > 10 * CHUNK);
    }
}
