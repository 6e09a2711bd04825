//! An event stream of a client (WHATWG HTML, "Server-sent events"), read as a browser reads it.

use std::collections::VecDeque;

use futures_util::FutureExt as _;
use galley_protocol::Picture;
use reqwest::Response;
use serde_json::Value;

use crate::TestAnswer;
use crate::patience::within;
use crate::test_socket::MAX_ENDED;
use crate::wire_check::{check_frame, understand};

/// An open stream. Each frame is checked like one of a socket.
#[derive(Debug)]
pub struct Events {
    /// The headers of the answer.
    pub headers: reqwest::header::HeaderMap,
    /// The first frame.
    pub welcome: Value,
    /// The orders, as told by the frames read so far.
    pub picture: Picture,
    /// The `id` of the last event that had one.
    pub last_event_id: String,
    /// The last `retry`, in milliseconds.
    pub retry: Option<u64>,
    response: Response,
    unread: Vec<u8>,
    ready: VecDeque<StreamItem>,
    /// The menu frames, which come in between whatever else happens.
    menus: VecDeque<Value>,
}

/// An item of a stream.
#[derive(Debug, PartialEq)]
enum StreamItem {
    /// An event: a frame.
    Frame(Value),
    /// A comment.
    Comment,
}

impl Events {
    /// Reads the welcome of an answer that must be a stream.
    ///
    /// # Errors
    /// The answer, if it is no stream.
    pub async fn open(question: &str, response: Response) -> Result<Self, TestAnswer> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if status != 200 {
            let text = within(question, response.text()).await.expect("an answer has a body");
            return Err(TestAnswer { question: question.to_owned(), status, headers, text });
        }
        assert_eq!(headers["content-type"], "text/event-stream", "{question}");
        let mut events = Self {
            headers,
            welcome: Value::Null,
            picture: Picture::new(MAX_ENDED),
            last_event_id: String::new(),
            retry: None,
            response,
            unread: Vec::new(),
            ready: VecDeque::new(),
            menus: VecDeque::new(),
        };
        events.welcome = events.next().await;
        assert_eq!(events.welcome["type"], "welcome");
        Ok(events)
    }

    /// The next menu frame; others are skipped.
    pub async fn until_menu(&mut self) -> Value {
        within("a menu frame", async {
            loop {
                if let Some(menu) = self.menus.pop_front() {
                    return menu;
                }
                self.read().await.expect("the stream is open");
            }
        })
        .await
    }

    /// The next frame that is no menu frame.
    pub async fn next(&mut self) -> Value {
        within("an event", async {
            loop {
                match self.said().await {
                    Some(StreamItem::Frame(frame)) => return frame,
                    Some(StreamItem::Comment) => {}
                    None => panic!("the stream has ended"),
                }
            }
        })
        .await
    }

    /// The next frame, if it has already arrived.
    pub fn try_next(&mut self) -> Option<Value> {
        self.next().now_or_never()
    }

    /// The next frame of this type; others are skipped.
    pub async fn until_type(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Waits for a comment.
    pub async fn until_comment(&mut self) {
        within("a comment", async {
            while self.said().await.expect("the stream is open") != StreamItem::Comment {}
        })
        .await;
    }

    /// Reads to the end.
    pub async fn until_end(&mut self) {
        within("the end of the stream", async { while self.said().await.is_some() {} }).await;
    }

    /// Waits for the next item; `None` at the end. Cancel safe: dropping the future loses nothing.
    async fn said(&mut self) -> Option<StreamItem> {
        loop {
            if let Some(said) = self.ready.pop_front() {
                return Some(said);
            }
            self.read().await?;
        }
    }

    /// Reads a chunk; `None` at the end.
    async fn read(&mut self) -> Option<()> {
        let chunk = self.response.chunk().await.expect("the connection is not cut")?;
        self.unread.extend_from_slice(&chunk);
        while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.unread.drain(..end + 2).collect();
            self.take(std::str::from_utf8(&block).expect("a stream is UTF-8"));
        }
        Some(())
    }

    fn take(&mut self, block: &str) {
        let (mut kind, mut data) = (String::new(), Vec::new());
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {}
                "" => self.ready.push_back(StreamItem::Comment),
                "event" => value.clone_into(&mut kind),
                "data" => data.push(value),
                "id" => value.clone_into(&mut self.last_event_id),
                "retry" => self.retry = Some(value.parse().expect("`retry` is a number")),
                unknown => panic!("no field is called {unknown}: {block}"),
            }
        }
        if !data.is_empty() {
            let frame: Value = serde_json::from_str(&data.join("\n"))
                .unwrap_or_else(|error| panic!("{error}: {block}"));
            check_frame(&frame);
            let changes = self.picture.apply(&understand(&frame));
            assert_eq!(changes.contradicting, 0, "{frame} contradicts {:?}", self.picture);
            assert_eq!(frame["type"], kind, "{block}");
            if let Some(cursor) = frame["cursor"].as_str() {
                assert_eq!(cursor, self.last_event_id, "{block}");
            }
            if kind == "menu" {
                self.menus.push_back(frame);
            } else {
                self.ready.push_back(StreamItem::Frame(frame));
            }
        }
    }
}
