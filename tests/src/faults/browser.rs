//! A browser whose page listens to one hero, or to the staff feed, with an `EventSource`.
//!
//! Each browser is one task, which stays at one gateway as a page stays at one address. It
//! reconnects by the rules of browsers; a refusal that they take for final ends it, and it is lost.
//! Never panics: the checker judges the frames.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::time::sleep;

use super::event_source::{EventSource, StreamEnd};
use super::feed_view::FeedView;
use super::hero_listener::Habit;
use super::known_orders::KnownOrders;
use super::record::RecordedEvent;

/// A handle of a browser, to read its knowledge.
#[derive(Clone, Debug)]
pub struct Browser {
    /// The hero; `None` for staff.
    pub hero: Option<i64>,
    knowledge: Arc<Mutex<Knowledge>>,
}

/// The knowledge of a browser.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// The orders of its hero.
    pub picture: KnownOrders,
    /// The staff feed.
    pub feed: FeedView,
    /// Set once it gave up for good.
    pub is_lost: bool,
}

impl Browser {
    /// Creates a browser and its task, which ends when the browser is lost.
    pub fn new(
        number: usize,
        hero: Option<i64>,
        habit: Habit,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let knowledge = Arc::new(Mutex::new(Knowledge::default()));
        let browser = Self { hero, knowledge };
        (browser.clone(), browser.browse(number, habit))
    }

    /// Its current knowledge.
    pub fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge.lock().expect("nothing panics while it takes in a frame")
    }

    async fn browse(self, number: usize, habit: Habit) {
        let gateway = number % habit.gateways.len();
        let path = self.hero.map_or("/events".to_owned(), |hero| format!("/heroes/{hero}/events"));
        let mut source = EventSource::new(format!("{}{path}", habit.gateways[gateway]));
        loop {
            let cursor = (!source.last_event_id.is_empty()).then(|| source.last_event_id.clone());
            habit.recorder.note(RecordedEvent::Opening {
                listener: number,
                hero: self.hero,
                gateway,
                cursor,
            });
            self.knowledge().feed.open();
            let end = match source.open().await {
                Ok(mut response) => loop {
                    match source.next(&mut response).await {
                        Ok(frame) => self.hear(number, frame, &habit),
                        Err(end) => break end,
                    }
                },
                Err(end) => end,
            };
            match end {
                StreamEnd::Again(why) => {
                    habit.recorder.note(RecordedEvent::Ended { listener: number, why });
                }
                StreamEnd::Final(why) => {
                    habit.recorder.note(RecordedEvent::Lost { listener: number, why });
                    self.knowledge().is_lost = true;
                    return;
                }
            }
            sleep(source.retry).await;
        }
    }

    fn hear(&self, number: usize, frame: Value, habit: &Habit) {
        let mut knowledge = self.knowledge();
        knowledge.feed.take(&frame, habit.recorder.now_us());
        knowledge.picture.take(&frame);
        habit.recorder.note(RecordedEvent::Heard { listener: number, frame });
    }
}
