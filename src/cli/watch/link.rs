//! The link to the gateway: one socket after another.
//!
//! Guarantees that nothing is missed while the gateway is away: a hero's feed resumes with its cursor, the staff's feed
//! begins anew. Comes back with jittered back-off, or when the gateway said to, and gives up after five minutes without a
//! welcome. What can never be cured – an unknown hero, a close code that says no – ends it at once.

use std::time::Duration;

use galley_launch::Failure;
use galley_protocol::HeroId;
use galley_protocol::frame::Received;
use rand::RngExt as _;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep};

use super::session::Session;
use crate::cli::api::Remote;

/// The pause after the first loss; it doubles with each loss in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long it may go on without a welcome.
const GIVE_UP: Duration = Duration::from_mins(5);

/// What a link tells to its display.
#[derive(Clone, Debug)]
pub enum News {
    /// A socket is being opened.
    Connecting,
    /// A frame came.
    Frame {
        /// As it came.
        text: String,
        /// As it is understood.
        frame: Received,
    },
    /// From here on nothing is missed.
    Watching {
        /// Whose orders, for people.
        whose: String,
    },
    /// There is no connection.
    Waiting {
        /// Why.
        why: String,
        /// When it is tried again.
        pause: Duration,
    },
}

/// How a session ended that may be begun again.
pub struct Ended {
    /// Why, for people.
    pub why: String,
    /// Whether there was a welcome.
    pub welcomed: bool,
    /// When the gateway said to come back.
    pub come_back_after: Option<Duration>,
}

/// Watches, and comes back, until it cannot any more, and answers why.
pub async fn keep(remote: Remote, hero: Option<HeroId>, news: Sender<News>) -> Failure {
    let mut session = Session::new(remote, hero, news.clone());
    let mut last_welcome = None;
    let mut pause = FIRST_PAUSE;
    loop {
        if news.send(News::Connecting).await.is_err() {
            return Failure::Stopped;
        }
        let ended = match session.run().await {
            Ok(ended) => ended,
            Err(failure) => return failure,
        };
        if ended.welcomed {
            last_welcome = Some(Instant::now());
            pause = FIRST_PAUSE;
        }
        // Never welcomed: more likely a wrong address than a restart.
        let Some(since) = last_welcome else { return Failure::Failed(ended.why) };
        if since.elapsed() > GIVE_UP {
            return Failure::Failed(format!("given up after {} minutes: {}", GIVE_UP.as_secs() / 60, ended.why));
        }
        let next = ended.come_back_after.unwrap_or_else(|| pause.mul_f64(rand::rng().random_range(0.5..=1.0))).min(GIVE_UP);
        if news.send(News::Waiting { why: ended.why, pause: next }).await.is_err() {
            return Failure::Stopped;
        }
        sleep(next).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
