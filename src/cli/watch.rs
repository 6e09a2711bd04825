//! `galley watch`: the live feed over the WebSocket.
//!
//! One [`link`] to the gateway and two displays of its news: [`lines`] for programs and files, a
//! [`screen`] with keys for people at a terminal. Between them is a queue of [`MAX_NEWS`] frames;
//! when it is full the socket is not read, and the gateway merges the updates.

pub mod lines;
mod screen;

use std::io::{IsTerminal as _, stdin, stdout};

use clap::Args;
use galley_protocol::{HeroId, Status, Watch};
use tokio::sync::mpsc::channel;
use tokio::sync::watch;

use super::api::Remote;
use super::client_session::SessionSubject;
use super::error::CommandError;
use super::named::Named;
use super::{link, output};

/// Maximum frames that wait to be displayed.
const MAX_NEWS: usize = 64;

/// The orders to watch.
#[derive(Args)]
#[command(after_help = "\
On a terminal it is a dashboard: press ? for its keys. Elsewhere, and with
--lines, it prints one line for each change: time, order, version, hero, meal,
status, message. With --json it prints each frame of the gateway. It ends with
Ctrl-C, or when nobody reads its output any more.

Examples:
  galley watch
  galley watch --hero Nova
  galley watch --status cancelled | head -n 1
  galley watch --hero 1 --json > orders.jsonl")]
pub struct WatchArguments {
    /// Only the orders of this hero, by id or name
    #[arg(long, value_name = "HERO")]
    hero: Option<Named<HeroId>>,
    /// Only changes into or out of this status, for staff: pending, in-progress, completed,
    /// cancelled; repeat for more
    #[arg(long, value_parser = output::parse_status)]
    status: Vec<Status>,
    /// Print lines on a terminal, too
    #[arg(long)]
    lines: bool,
}

/// Watches until the display ends.
pub async fn run(
    WatchArguments { hero, status, lines }: WatchArguments,
    remote: Remote,
) -> Result<(), CommandError> {
    let hero = match hero {
        Some(hero) => Some(hero.resolve(&remote.clone().open()?).await?),
        None => None,
    };
    let (filter, filtered) =
        watch::channel(Watch { status: status.clone(), hero_id: hero, ..Watch::all(None) });
    let subject = match hero {
        Some(hero) if status.is_empty() => SessionSubject::Hero(hero),
        _ => SessionSubject::Feed(filtered),
    };
    let (tell, news) = channel(MAX_NEWS);
    let link = link::keep(remote.clone(), subject, tell, false);
    if lines || remote.json || !stdout().is_terminal() || !stdin().is_terminal() {
        until_one_ends(link, lines::run(&remote, news)).await
    } else {
        until_one_ends(link, screen::run(&remote, filter, news)).await
    }
}

/// Runs the link and the display. The link ends only with a failure; the display then still shows
/// the frames that wait. Both end with the display, or when nobody reads the output any more.
async fn until_one_ends(
    link: impl Future<Output = CommandError>,
    display: impl Future<Output = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    tokio::pin!(link, display);
    tokio::select! {
        shown = &mut display => shown,
        error = &mut link => display.await.and(Err(error)),
        () = output::closed() => Ok(()),
    }
}
