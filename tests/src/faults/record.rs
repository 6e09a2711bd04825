//! The record of a round: all requests, answers, frames and faults, in order.
//!
//! Every client of a round and the breaker write it, the checker reads it. A request is noted
//! before it is sent, its answer after it was read completely: an earlier entry happened earlier.
//! The record is also written to a file, one line of JSON each, for people.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use super::action::Action;

/// An entry of the record.
#[derive(Clone, Debug, Serialize)]
pub struct RecordEntry {
    /// Microseconds since the record began, by a monotonic clock.
    pub at_us: u64,
    /// The event.
    #[serde(flatten)]
    pub event: RecordedEvent,
}

/// An event of a round.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RecordedEvent {
    /// The heroes and meals of the round.
    Scene(Cast),
    /// A client is about to send a request.
    Asked {
        /// The number of the request.
        request: usize,
        /// The hero.
        hero: i64,
        /// The gateway; `None` for a socket, which may be at either.
        gateway: Option<usize>,
        /// The purpose of the request.
        deed: Deed,
    },
    /// A request ended.
    Answered {
        /// The number of the request.
        request: usize,
        /// The answer.
        answer: ClientAnswer,
    },
    /// A listener opens a socket or a stream.
    Opening {
        /// The listener's number.
        listener: usize,
        /// The hero; `None` for staff.
        hero: Option<i64>,
        /// The gateway.
        gateway: usize,
        /// The cursor, if any.
        cursor: Option<String>,
    },
    /// A listener received a frame.
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
        /// The reason.
        why: String,
    },
    /// A listener gave up for good after a refusal that its kind takes for final.
    Lost {
        /// The listener's number.
        listener: usize,
        /// The reason.
        why: String,
    },
    /// The database has changed.
    Changed {
        /// The time of the previous reading, without these changes, in microseconds since the
        /// record began.
        since_us: u64,
        /// The changed orders, each with its new version.
        orders: Vec<(i64, i64)>,
    },
    /// A fault is about to begin or end.
    Fault {
        /// The action.
        action: Action,
    },
    /// A fault has begun or ended.
    Done {
        /// The action.
        action: Action,
        /// The action and its effect, for people.
        step: String,
    },
    /// All faults have ended, and the clients begin no more requests.
    Mended,
    /// No order is open, and every listener knows the same as the database.
    Quiet,
}

/// The heroes and meals of a round.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cast {
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
        /// The idempotency key, if any.
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
pub enum ClientAnswer {
    /// The gateway answered.
    Told {
        /// The status; for a frame that of the same answer over REST.
        status: u16,
        /// The body, or the frame.
        body: Value,
    },
    /// It is unknown whether the request was carried out.
    Unknown(String),
}

impl RecordedEvent {
    /// The body of an answer, or the frame, if the event shows one to a client.
    #[must_use]
    pub fn shown(&self) -> Option<&Value> {
        if let Self::Answered { answer: ClientAnswer::Told { body, .. }, .. }
        | Self::Heard { frame: body, .. } = self
        {
            return Some(body);
        }
        None
    }
}

/// A writer of a record; clones write to the same record.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Pages {
    began: Instant,
    /// The entries so far, bounded because a round lasts only minutes.
    entries: Vec<RecordEntry>,
    requests: usize,
    file: BufWriter<File>,
}

impl Recorder {
    /// Creates a record in this file.
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

    /// Adds an event to the record.
    pub fn note(&self, event: RecordedEvent) {
        self.pages().note(event);
    }

    /// The current time, in microseconds since the record began.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.pages().now_us()
    }

    /// Adds a request to the record and returns its number.
    #[must_use]
    pub fn ask(&self, hero: i64, gateway: Option<usize>, deed: Deed) -> usize {
        let mut pages = self.pages();
        pages.requests += 1;
        let request = pages.requests;
        pages.note(RecordedEvent::Asked { request, hero, gateway, deed });
        request
    }

    /// Returns the entries so far; the file has them as well.
    #[must_use]
    pub fn read(&self) -> Vec<RecordEntry> {
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

    fn note(&mut self, event: RecordedEvent) {
        let at_us = self.now_us();
        let entry = RecordEntry { at_us, event };
        let line = serde_json::to_string(&entry).expect("events have string keys");
        writeln!(self.file, "{line}").expect("the record can be written");
        self.entries.push(entry);
    }
}
