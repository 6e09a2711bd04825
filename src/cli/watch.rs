//! `galley watch`: the live feed over the WebSocket.
//!
//! Guarantees that nothing is missed while the gateway is away: a hero's feed resumes with its cursor, the staff's feed
//! begins anew. Comes back with jittered back-off, or when the gateway said to, and gives up after five minutes without a
//! welcome. What can never be cured – an unknown hero, a close code that says no – ends it at once.

mod frame;
mod session;

use std::time::Duration;

use clap::Args;
use galley_launch::Failure;
use galley_protocol::HeroId;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use super::api::Remote;
use session::Session;

/// The pause after the first loss; it doubles with each loss in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long it may go on without a welcome.
const GIVE_UP: Duration = Duration::from_mins(5);

/// What to watch.
#[derive(Args)]
#[command(after_help = "\
One line for each change: time, order, version, hero, meal, status, message. Ends with Ctrl-C.

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
}

/// How a session ended that may be begun again.
struct Ended {
    why: String,
    welcomed: bool,
    come_back_after: Option<Duration>,
}

/// Watches until nobody reads any more.
pub async fn run(arguments: WatchArguments) -> Result<(), Failure> {
    let mut session = Session::new(arguments.remote, arguments.hero);
    let mut last_welcome = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = session.run().await?;
        if ended.welcomed {
            last_welcome = Some(Instant::now());
            pause = FIRST_PAUSE;
        }
        // Never welcomed: more likely a wrong address than a restart.
        let Some(since) = last_welcome else { return Err(Failure::Failed(ended.why)) };
        if since.elapsed() > GIVE_UP {
            return Err(Failure::Failed(format!("given up after {} minutes: {}", GIVE_UP.as_secs() / 60, ended.why)));
        }
        let next = ended.come_back_after.unwrap_or_else(|| pause.mul_f64(rand::rng().random_range(0.5..=1.0)));
        eprintln!("{}; coming back in {:.1} s", ended.why, next.as_secs_f64());
        sleep(next.min(GIVE_UP)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
