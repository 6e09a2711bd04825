//! An `EventSource` like that of browsers (WHATWG HTML, "Server-sent events"), but it does not
//! tolerate errors: the checker judges every frame.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::Value;

use crate::install_tls_provider;

/// The default pause of Chromium.
const DEFAULT_RETRY: Duration = Duration::from_secs(3);

/// A stream that is opened repeatedly at one address.
#[derive(Debug)]
pub struct EventSource {
    url: String,
    http: reqwest::Client,
    /// The `id` of the last event that had one.
    pub last_event_id: String,
    /// The pause before it is opened again.
    pub retry: Duration,
    /// The bytes of an incomplete event, bounded by the longest frame.
    unread: Vec<u8>,
    ready: VecDeque<Value>,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The browser tries again.
    Again(String),
    /// The browser gives up for good.
    Final(String),
}

impl EventSource {
    /// A closed stream at this URL.
    #[must_use]
    pub fn new(url: String) -> Self {
        install_tls_provider();
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build();
        let http = client.expect("a client");
        let (unread, ready) = (Vec::new(), VecDeque::new());
        Self { url, http, last_event_id: String::new(), retry: DEFAULT_RETRY, unread, ready }
    }

    /// Opens the stream.
    ///
    /// # Errors
    /// The reason why it is not open.
    pub async fn open(&mut self) -> Result<reqwest::Response, StreamEnd> {
        self.unread.clear();
        self.ready.clear();
        let mut request = self
            .http
            .get(&self.url)
            .header(ACCEPT, "text/event-stream")
            .header(CACHE_CONTROL, "no-store");
        if !self.last_event_id.is_empty() {
            request = request.header("Last-Event-ID", &self.last_event_id);
        }
        let response = request.send().await.map_err(|error| StreamEnd::Again(error.to_string()))?;
        let (status, kind) = (response.status(), response.headers().get(CONTENT_TYPE));
        if status == 200
            && kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
        {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        Err(StreamEnd::Final(format!("it was answered {status}: {text}")))
    }

    /// The next frame of an open stream.
    ///
    /// # Errors
    /// If the stream has ended.
    pub async fn next(&mut self, response: &mut reqwest::Response) -> Result<Value, StreamEnd> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(frame);
            }
            match response.chunk().await {
                Ok(Some(chunk)) => self.read(&chunk)?,
                Ok(None) => return Err(StreamEnd::Again("the stream has ended".to_owned())),
                Err(error) => return Err(StreamEnd::Again(error.to_string())),
            }
        }
    }

    fn read(&mut self, chunk: &[u8]) -> Result<(), StreamEnd> {
        self.unread.extend_from_slice(chunk);
        while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.unread.drain(..end + 2).collect();
            let mut data = String::new();
            for line in String::from_utf8_lossy(&block).lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => id.clone_into(&mut self.last_event_id),
                    Some(("data", text)) => data.push_str(text),
                    Some(("retry", millis)) => {
                        self.retry = millis.parse().map_or(self.retry, Duration::from_millis);
                    }
                    Some(_) | None => {}
                }
            }
            if !data.is_empty() {
                let frame = serde_json::from_str(&data)
                    .map_err(|error| StreamEnd::Final(format!("{error}: {data}")))?;
                self.ready.push_back(frame);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::EventSource;

    #[test]
    fn a_stream_is_read_in_pieces() {
        let mut source = EventSource::new(String::new());
        let stream =
            b": hello\n\nretry: 250\n\nevent: order\nid: c1\ndata: {\"type\":\"order\"}\n\n";
        for byte in stream {
            source.read(&[*byte]).expect("it is well-formed");
        }
        assert_eq!(source.ready, [json!({"type": "order"})]);
        assert_eq!(
            (source.last_event_id.as_str(), source.retry),
            ("c1", Duration::from_millis(250))
        );
    }

    #[test]
    fn what_is_no_frame_ends_it() {
        EventSource::new(String::new()).read(b"data: {\n\n").expect_err("it is cut off");
    }
}
