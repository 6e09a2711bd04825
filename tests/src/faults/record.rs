//! What clients asked, were answered and heard, in the order in which it happened.
//!
//! Written by every client of a round and by the breaker, read by the checker. A request is noted
//! before it is sent, its answer after it was read whole: what is noted earlier happened earlier.
//! Also written to a file, one line of JSON each, for people.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use super::action::Action;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Microseconds since the record began, by a clock that only rises.
    pub at_us: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// An event of a round.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The heroes and meals of the round.
    Scene(Scene),
    /// A request is about to be sent.
    Asked {
        /// Its number.
        request: usize,
        /// Whose.
        hero: i64,
        /// To which gateway; a socket is at one or the other.
        gateway: Option<usize>,
        /// Its purpose.
        deed: Deed,
    },
    /// A request came to its end.
    Answered {
        /// Its number.
        request: usize,
        /// The answer.
        answer: Answer,
    },
    /// A listener opens a socket or a stream.
    Opening {
        /// The listener's number.
        listener: usize,
        /// The hero; none of the staff.
        hero: Option<i64>,
        /// Where.
        gateway: usize,
        /// With which cursor.
        cursor: Option<String>,
    },
    /// A frame came.
    Heard {
        /// The listener's number.
        listener: usize,
        /// The frame.
        frame: Value,
    },
    /// A socket or a stream ended, or could not be opened.
    Ended {
        /// The listener's number.
        listener: usize,
        /// How.
        why: String,
    },
    /// A listener will never come back: it was refused in a way that its kind takes for final.
    Lost {
        /// The listener's number.
        listener: usize,
        /// How.
        why: String,
    },
    /// The database has changed.
    Changed {
        /// When it was read before, without these changes, in microseconds since the record began.
        since_us: u64,
        /// The orders, each with the version that it has now.
        orders: Vec<(i64, i64)>,
    },
    /// Something is about to be broken or mended.
    Fault {
        /// The deed.
        action: Action,
    },
    /// It was.
    Done {
        /// The deed.
        action: Action,
        /// The deed and its effect, for people.
        step: String,
    },
    /// Everything is mended, and the clients begin no more.
    Mended,
    /// No order is open, and every listener knows what the database knows.
    Quiet,
}

/// The heroes and meals of a round.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Scene {
    /// The heroes.
    pub heroes: Vec<i64>,
    /// A meal that all of them may eat.
    pub meal: i64,
    /// A meal that none of them may eat.
    pub forbidden: i64,
}

/// The purpose of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Place an order.
    Place {
        /// The meal.
        meal: i64,
        /// Under this key.
        key: Option<String>,
    },
    /// Cancel an order.
    Cancel(i64),
    /// Cancel an order that is active, delete one that has ended.
    End(i64),
    /// Delete an order that has ended.
    Delete(i64),
    /// Read an order.
    Get(i64),
    /// Read the newest orders.
    List,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The gateway answered.
    Told {
        /// The status; a frame has the one that the same answer has over REST.
        status: u16,
        /// The body, or the frame.
        body: Value,
    },
    /// Nobody knows whether it was carried out.
    Unknown(String),
}

impl Event {
    /// The body of an answer, or the frame, that it shows a client.
    #[must_use]
    pub fn shown(&self) -> Option<&Value> {
        match self {
            Self::Answered { answer: Answer::Told { body, .. }, .. } => Some(body),
            Self::Heard { frame, .. } => Some(frame),
            Self::Answered { answer: Answer::Unknown(_), .. }
            | Self::Scene(_)
            | Self::Asked { .. }
            | Self::Opening { .. }
            | Self::Ended { .. }
            | Self::Lost { .. }
            | Self::Changed { .. }
            | Self::Fault { .. }
            | Self::Done { .. }
            | Self::Mended
            | Self::Quiet => None,
        }
    }
}

/// Writes a record; clones write the same.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Pages {
    began: Instant,
    /// As long as the round: its bound is that a round lasts minutes.
    entries: Vec<Entry>,
    requests: usize,
    file: BufWriter<File>,
}

impl Recorder {
    /// Begins a record in this file.
    #[must_use]
    pub fn begin(path: &Path) -> Self {
        let file = File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let pages = Pages {
            began: Instant::now(),
            entries: Vec::new(),
            requests: 0,
            file: BufWriter::new(file),
        };
        Self(Arc::new(Mutex::new(pages)))
    }

    /// Notes that something happened.
    pub fn note(&self, event: Event) {
        self.pages().note(event);
    }

    /// The moment, in microseconds since the record began.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.pages().now_us()
    }

    /// Notes a request, and gives its number.
    #[must_use]
    pub fn ask(&self, hero: i64, gateway: Option<usize>, deed: Deed) -> usize {
        let mut pages = self.pages();
        pages.requests += 1;
        let request = pages.requests;
        pages.note(Event::Asked { request, hero, gateway, deed });
        request
    }

    /// Everything so far; the file has it, too.
    #[must_use]
    pub fn read(&self) -> Vec<Entry> {
        let mut pages = self.pages();
        pages.file.flush().expect("the record can be written");
        pages.entries.clone()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().expect("nothing panics while it writes")
    }
}

impl Pages {
    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).expect("a round is shorter than centuries")
    }

    fn note(&mut self, event: Event) {
        let at_us = self.now_us();
        let entry = Entry { at_us, event };
        let line = serde_json::to_string(&entry).expect("events have string keys");
        writeln!(self.file, "{line}").expect("the record can be written");
        self.entries.push(entry);
    }
}
