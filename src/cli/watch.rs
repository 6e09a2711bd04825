//! `galley watch`: the live feed over the WebSocket.
//!
//! One [`link`] to the gateway and two displays of what it tells: [`lines`] for programs and files, a [`screen`] with keys for people at
//! a terminal. Between them lies a queue of [`MAX_NEWS`] frames; when it is full the socket is not read, and the gateway merges.

pub mod harmless;
mod lines;
mod link;
mod screen;
mod session;

use std::io::{IsTerminal as _, stdin, stdout};

use clap::Args;
use galley_launch::Failure;
use galley_protocol::HeroId;
use tokio::sync::mpsc::channel;

use super::api::Remote;

/// The frames that wait to be displayed.
const MAX_NEWS: usize = 64;

/// What to watch.
#[derive(Args)]
#[command(after_help = "\
On a terminal it is a dashboard: press ? for its keys. Otherwise, with --json or with --lines, it prints one line for each change:
time, order, version, hero, meal, status, message. It ends with Ctrl-C.

Examples:
  galley watch
  galley watch --hero 1
  galley watch --hero 1 --json > orders.jsonl")]
pub struct WatchArguments {
    #[command(flatten)]
    remote: Remote,
    /// Only this hero's orders; everything when absent
    #[arg(long, value_name = "ID")]
    hero: Option<HeroId>,
    /// Print lines on a terminal, too
    #[arg(long)]
    lines: bool,
}

/// Watches until nobody looks any more.
pub async fn run(WatchArguments { remote, hero, lines }: WatchArguments) -> Result<(), Failure> {
    let (tell, news) = channel(MAX_NEWS);
    let link = link::keep(remote.clone(), hero, tell);
    if lines || remote.json || !stdout().is_terminal() || !stdin().is_terminal() {
        until_both_end(link, lines::run(&remote, news)).await
    } else {
        until_both_end(link, screen::run(&remote, hero, news)).await
    }
}

/// The link ends only by failing, and the display then shows what had still come. A display that ends ends all.
async fn until_both_end(
    link: impl Future<Output = Failure>,
    display: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    tokio::pin!(link, display);
    tokio::select! {
        shown = &mut display => shown,
        failure = &mut link => display.await.and(Err(failure)),
    }
}
