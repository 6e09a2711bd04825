//! The connection to the gateway: one socket after another.
//!
//! No change is missed while the gateway is unreachable, because the next socket resumes with the
//! cursor. The link reconnects with jittered back-off, or after the time for which the gateway
//! asked, and gives up after five minutes without a welcome. A permanent error – an unknown hero, a
//! close code that forbids to reconnect – ends it at once.

use std::time::Duration;

use galley_client::ReconnectPause;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep};

use super::api::Remote;
use super::client_session::{ClientSession, SessionEvent, SessionSubject};
use super::error::CommandError;
use super::exit::Exit;

/// The pauses after losses in a row.
const PAUSES: ReconnectPause =
    ReconnectPause { first: Duration::from_millis(500), longest: Duration::from_secs(15) };
/// The longest time without a welcome.
const GIVE_UP: Duration = Duration::from_mins(5);

/// Watches and reconnects until a permanent error, which it returns. `known` is true if this
/// gateway has just answered: then it also reconnects if the first socket fails.
pub async fn keep(
    remote: Remote,
    subject: SessionSubject,
    news: Sender<SessionEvent>,
    known: bool,
) -> CommandError {
    let mut session = ClientSession::new(remote, subject, news.clone());
    let mut last_welcome = known.then(Instant::now);
    let mut losses = 0_u32;
    loop {
        if news.send(SessionEvent::Connecting).await.is_err() {
            return CommandError::Quiet(Exit::Done);
        }
        let ended = match session.run().await {
            Ok(ended) => ended,
            Err(error) => return error,
        };
        if ended.welcomed {
            last_welcome = Some(Instant::now());
            losses = 0;
        }
        // Never welcomed: a wrong address is more likely than a restart.
        let Some(since) = last_welcome else { return ended.why };
        if since.elapsed() > GIVE_UP {
            return ended.why.after(&format!("given up after {} minutes", GIVE_UP.as_secs() / 60));
        }
        let next = ended
            .come_back_after
            .unwrap_or_else(|| PAUSES.after(losses, &mut rand::rng()))
            .min(GIVE_UP);
        if news.send(SessionEvent::Waiting { why: ended.why, pause: next }).await.is_err() {
            return CommandError::Quiet(Exit::Done);
        }
        sleep(next).await;
        losses = losses.saturating_add(1);
    }
}
