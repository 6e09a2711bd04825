//! A staff client that watches every order on a socket.
//!
//! Each watcher is one task. It reconnects after a pause, with its newest cursor if it has one:
//! then it must receive the changes in between. Never panics: the checker judges the frames.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::feed_view::FeedView;
use super::hero_listener::{Habit, PATIENCE};
use super::record::RecordedEvent;

const PAUSE: Duration = Duration::from_millis(500);

/// A handle of a watcher, to read its knowledge.
#[derive(Clone, Debug)]
pub struct StaffWatcher(Arc<Mutex<FeedView>>);

impl StaffWatcher {
    /// Creates a watcher and its task, which never ends by itself.
    pub fn new(number: usize, habit: Habit) -> (Self, impl Future<Output = ()> + Send) {
        let watcher = Self(Arc::new(Mutex::new(FeedView::default())));
        (watcher.clone(), watcher.run(number, habit))
    }

    /// Its current knowledge.
    pub fn view(&self) -> MutexGuard<'_, FeedView> {
        self.0.lock().expect("nothing panics while it takes in a frame")
    }

    async fn run(self, number: usize, habit: Habit) {
        let mut cursor = None;
        loop {
            let why = self.watch(number, &habit, &mut cursor).await;
            habit.recorder.note(RecordedEvent::Ended { listener: number, why });
            sleep(PAUSE).await;
        }
    }

    /// Watches until the socket ends; returns the reason.
    async fn watch(&self, number: usize, habit: &Habit, cursor: &mut Option<String>) -> String {
        let gateway = number % habit.gateways.len();
        habit.recorder.note(RecordedEvent::Opening {
            listener: number,
            hero: None,
            gateway,
            cursor: cursor.clone(),
        });
        self.view().open();
        let url = format!("{}/ws", habit.gateways[gateway].replacen("http", "ws", 1));
        let mut stream = match timeout(PATIENCE, Box::pin(connect_async(url))).await {
            Ok(Ok((stream, _))) => stream,
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "no handshake in time".to_owned(),
        };
        let mut watch = json!({"type": "watch", "id": 1});
        if let Some(cursor) = &cursor {
            watch["cursor"] = json!(cursor);
        }
        if let Err(error) = stream.send(Message::text(watch.to_string())).await {
            return error.to_string();
        }
        loop {
            match stream.next().await {
                Some(Ok(Message::Text(text))) => match serde_json::from_str::<Value>(&text) {
                    // After a refused watch the client reconnects and asks again.
                    Ok(frame) if frame["type"] == "error" => return frame.to_string(),
                    Ok(frame) => {
                        if let Some(newest) = frame["cursor"].as_str() {
                            *cursor = Some(newest.to_owned());
                        }
                        let mut view = self.view();
                        view.take(&frame, habit.recorder.now_us());
                        habit.recorder.note(RecordedEvent::Heard { listener: number, frame });
                    }
                    Err(error) => return format!("{error}: {text}"),
                },
                Some(Ok(Message::Close(_))) | None => return "closed".to_owned(),
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
                )) => {}
                Some(Err(error)) => return error.to_string(),
            }
        }
    }
}
