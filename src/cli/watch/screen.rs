//! The display for people: a dashboard with keys.
//!
//! [`model`] knows, [`view`] draws, [`keys`] says what a key does, [`errands`] asks the gateway for
//! what the feed does not tell, [`search`] says what a filter asks for, and [`terminal`] gives the
//! terminal back as it was. Drawn at most every [`BEAT`], however much changes. Must never write to
//! standard error while the terminal is taken.

mod errands;
mod filter;
mod keys;
mod meter;
mod model;
mod names;
mod search;
#[cfg(test)]
mod staging;
mod terminal;
mod view;

use std::time::{Duration, SystemTime};

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use galley_protocol::{Timestamp, Watch};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::api::Remote;
use crate::cli::client_session::SessionEvent;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use errands::Errands;
use keys::Wish;
use model::Model;
use terminal::Terminal;
use view::Palette;

/// The shortest time between two pictures: fifteen a second.
const BEAT: Duration = Duration::from_millis(67);
/// Ages and the countdown go on when nothing else does, every so many beats.
const BEATS_AT_REST: u32 = 3;

/// Shows what is told until nothing is told any more, or somebody leaves.
pub async fn run(
    remote: &Remote,
    filter: watch::Sender<Watch>,
    mut news: Receiver<SessionEvent>,
) -> Result<(), CommandError> {
    let mut model = Model::new(remote.name());
    let mut errands = Errands::new(remote.clone(), filter);
    let palette = Palette::of_environment();
    let listen = |kind| {
        signal(kind).map_err(|error| {
            CommandError::failed(format_args!("cannot listen to signals: {error}"))
        })
    };
    let mut ends = [
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
        listen(SignalKind::hangup())?,
        listen(SignalKind::quit())?,
    ];
    let mut terminal = Terminal::take()?;
    let mut keys = EventStream::new();
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut changed, mut rest) = (true, 0);
    let [terminate, interrupt, hangup, quit] = &mut ends;
    loop {
        tokio::select! {
            told = news.recv() => {
                let Some(told) = told else { return Ok(()) };
                model.hear(told, now());
                changed = true;
            }
            pressed = keys.next() => match pressed {
                Some(Ok(Event::Key(key))) => {
                    changed = true;
                    match keys::press(&mut model, key, now()) {
                        Some(Wish::Leave) => return Ok(()),
                        Some(Wish::Cancel(id, reason)) => errands.cancel(&mut model, id, reason, now()),
                        None => {}
                    }
                }
                Some(Ok(_)) => changed = true,
                // The terminal is gone.
                Some(Err(_)) | None => return Err(CommandError::Quiet(Exit::Done)),
            },
            done = errands.next() => {
                errands.settle(&mut model, done, now());
                changed = true;
            }
            _ = beats.tick() => {
                rest += 1;
                if changed || rest >= BEATS_AT_REST {
                    (changed, rest) = (false, 0);
                    terminal.draw(|frame| view::draw(frame, &mut model, palette, now()))?;
                    errands.look(&mut model);
                }
            }
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            _ = quit.recv() => return Ok(()),
        }
    }
}

/// The clock on the wall, which the times of orders are compared with.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis())
        .ok()
        .and_then(|millis| Timestamp::from_millis(millis).ok())
        .expect("a year below 10000")
}
