//! One WebSocket, from its handshake to its end.
//!
//! [`super::link`] runs one session, and its sockets one after another. A silent connection is
//! noticed within 60 s. A frame is passed on before its cursor is stored. When the display is too
//! slow, the socket is not read, and the gateway merges the updates.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use galley_client::{ClientSocket, OpenError, SocketTarget, SocketVerdict};
use galley_protocol::close_code::{CloseCode, Reconnect};
use galley_protocol::frame::{ClientFrame, Command, Received};
use galley_protocol::{Hero, HeroId, Watch};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::api::Remote;
use super::error::CommandError;
use super::exit::Exit;

const PING_EVERY: Duration = Duration::from_secs(15);
/// Maximum unanswered pings; at the next one the connection counts as lost.
const SILENT_PINGS: u32 = 3;
/// The largest frame that is read, in bytes.
const MAX_FRAME: usize = 64 << 20;

/// The orders that a socket shows.
#[derive(Clone, Debug)]
pub enum SessionSubject {
    /// The orders of one hero, on the hero's own socket, which resumes.
    Hero(HeroId),
    /// The orders of the staff feed that pass this filter. Another filter starts a new
    /// subscription.
    Feed(watch::Receiver<Watch>),
}

/// The state that outlives a socket.
pub struct ClientSession {
    remote: Remote,
    subject: SessionSubject,
    cursor: Option<String>,
    /// The filter for which the cursor of a feed is valid.
    subscribed: Option<Watch>,
    news: mpsc::Sender<SessionEvent>,
    /// True after a welcome on the current socket.
    welcomed: bool,
    come_back_after: Option<Duration>,
}

enum SocketRefused {
    ForNow(CommandError),
    ForGood(CommandError),
}

/// The news of a link for its display.
#[derive(Clone, Debug)]
pub enum SessionEvent {
    Connecting,
    Frame {
        /// The JSON as it came.
        text: String,
        frame: Received,
    },
    /// The subscription is active: from here on no change is missed.
    Watching {
        /// The watched orders, for people.
        whose: String,
    },
    Waiting {
        why: CommandError,
        pause: Duration,
    },
}

/// The end of a socket that may be opened again.
pub struct SessionEnd {
    pub why: CommandError,
    pub welcomed: bool,
    /// The pause that the gateway asked for, if any.
    pub come_back_after: Option<Duration>,
}

/// Returns the hero of the token; `None` for staff, and without authentication.
pub async fn own_hero(remote: &Remote) -> Result<Option<Hero>, CommandError> {
    let (_, filter) = watch::channel(Watch::all(None));
    let session =
        ClientSession::new(remote.clone(), SessionSubject::Feed(filter), mpsc::channel(1).0);
    let mut socket = session
        .connect()
        .await
        .map_err(|(SocketRefused::ForNow(why) | SocketRefused::ForGood(why))| why)?;
    let first = timeout(remote.patience(), socket.next()).await.map_err(|_| remote.silent())?;
    let Some(Ok(Message::Text(text))) = first else { return Err(session.lost()) };
    if let Received::Welcome { hero, .. } = read(&text)? { Ok(hero) } else { Ok(None) }
}

fn read(text: &str) -> Result<Received, CommandError> {
    serde_json::from_str(text).map_err(|error| {
        CommandError::failed(format_args!(
            "a frame is not that of a Galley gateway: {error}; check --url"
        ))
    })
}

impl ClientSession {
    /// Creates a session that begins anew. It sends everything it receives as `news`.
    pub fn new(remote: Remote, subject: SessionSubject, news: mpsc::Sender<SessionEvent>) -> Self {
        Self {
            remote,
            subject,
            cursor: None,
            subscribed: None,
            news,
            welcomed: false,
            come_back_after: None,
        }
    }

    /// Connects, and sends news until the socket ends.
    pub async fn run(&mut self) -> Result<SessionEnd, CommandError> {
        (self.welcomed, self.come_back_after) = (false, None);
        let why = match self.connect().await {
            Ok(mut socket) => self.listen(&mut socket).await?,
            Err(SocketRefused::ForNow(why)) => why,
            Err(SocketRefused::ForGood(why)) => return Err(why),
        };
        Ok(SessionEnd { why, welcomed: self.welcomed, come_back_after: self.come_back_after })
    }

    async fn connect(&self) -> Result<ClientSocket, SocketRefused> {
        let token = self.remote.bearer().map_err(SocketRefused::ForGood)?;
        let target = self.target().map_err(SocketRefused::ForGood)?;
        let patience = self.remote.patience();
        let cursor = self.cursor_of_socket();
        target.open(cursor, token.as_ref(), MAX_FRAME, patience).await.map_err(|error| {
            // Whoever asks for a token or refuses does so again; everything else may pass.
            let for_good = matches!(error, OpenError::Answered { .. })
                && SocketVerdict::of_refusal(&error, false, true).advice == Reconnect::No;
            let why = match error {
                OpenError::Answered { status, body, .. } => CommandError::answered(status, &body),
                OpenError::Failed(error) => self.remote.unreachable(&*error),
                OpenError::Late => self.remote.silent(),
            };
            if for_good { SocketRefused::ForGood(why) } else { SocketRefused::ForNow(why) }
        })
    }

    fn target(&self) -> Result<SocketTarget, CommandError> {
        let hero = if let SessionSubject::Hero(id) = self.subject { Some(id) } else { None };
        let tls = self.remote.tls()?;
        SocketTarget::new(self.remote.url.as_str(), hero, Some(tls))
            .map_err(|error| CommandError::usage(error.to_string()))
    }

    /// Returns the cursor of a hero's socket; that of the feed is part of the subscription.
    fn cursor_of_socket(&self) -> Option<&str> {
        matches!(self.subject, SessionSubject::Hero(_)).then_some(self.cursor.as_deref()).flatten()
    }

    /// Reads the socket to its end. Returns the reason for the end if it may pass, else an error.
    async fn listen(&mut self, socket: &mut ClientSocket) -> Result<CommandError, CommandError> {
        let mut pings = every(PING_EVERY);
        let mut silent = 0;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                watch = changed(&mut self.subject) => {
                    let frame = ClientFrame { id: None, command: Command::Watch(self.subscription(watch)) };
                    let frame = serde_json::to_string(&frame).map_err(CommandError::failed)?;
                    if socket.send(Message::text(frame)).await.is_err() {
                        return Ok(self.lost());
                    }
                    continue;
                }
                _ = pings.tick() => {
                    silent += 1;
                    if silent > SILENT_PINGS || socket.send(Message::Ping(Vec::new().into())).await.is_err() {
                        return Ok(self.lost());
                    }
                    continue;
                }
            };
            silent = 0;
            match message {
                Some(Ok(Message::Text(text))) => self.hear(&text).await?,
                Some(Ok(Message::Close(frame))) => return self.closed(frame.as_ref()),
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
                )) => {}
                Some(Err(_)) | None => return Ok(self.lost()),
            }
        }
    }

    /// Returns the subscription to send. The same filter resumes with the cursor; another one
    /// begins anew.
    fn subscription(&mut self, watch: Watch) -> Watch {
        if self.subscribed.as_ref() != Some(&watch) {
            self.cursor = None;
            self.subscribed = Some(watch.clone());
        }
        Watch { cursor: self.cursor.clone(), ..watch }
    }

    async fn hear(&mut self, text: &str) -> Result<(), CommandError> {
        let frame = read(text)?;
        if let Received::Error { problem, .. } = &frame {
            let status = problem["status"]
                .as_u64()
                .and_then(|status| u16::try_from(status).ok())
                .unwrap_or(500);
            return Err(CommandError::answered(status, &problem.to_string()));
        }
        let whose = if let Received::Welcome { hero, .. } = &frame {
            self.enter(hero.as_ref())?
        } else if let (Received::Reply { watching: true, .. }, SessionSubject::Feed(filter)) =
            (&frame, &self.subject)
        {
            Some(named(&filter.borrow()))
        } else {
            None
        };
        if let Received::Reconnect { after_ms } = frame {
            self.come_back_after = Some(Duration::from_millis(after_ms));
        }
        let cursor = frame.cursor().map(str::to_owned);
        self.tell(SessionEvent::Frame { text: text.to_owned(), frame }).await?;
        self.cursor = cursor.or(self.cursor.take());
        if let Some(whose) = whose {
            // The subscription is active: from here on no change is missed.
            self.welcomed = true;
            self.tell(SessionEvent::Watching { whose }).await?;
        }
        Ok(())
    }

    /// Handles a welcome: a hero's socket shows its orders from here on, and staff subscribes. A
    /// token of a hero shows this hero's orders even if no hero was requested. Returns the name of
    /// the hero whose orders are already shown, if any.
    fn enter(&mut self, hero: Option<&Hero>) -> Result<Option<String>, CommandError> {
        match (hero, &mut self.subject) {
            (None, SessionSubject::Feed(filter)) => {
                filter.mark_changed();
                Ok(None)
            }
            (Some(_), SessionSubject::Feed(filter)) if !filter.borrow().status.is_empty() => {
                Err(CommandError::local(
                    Exit::NotAllowed,
                    "--status is for staff, and the token is that of a hero",
                ))
            }
            (Some(hero), _) => {
                self.subject = SessionSubject::Hero(hero.id);
                Ok(Some(hero.name.to_string()))
            }
            (None, SessionSubject::Hero(_)) => Ok(None),
        }
    }

    /// Sends news to the display. The end of the display ends the session.
    async fn tell(&self, news: SessionEvent) -> Result<(), CommandError> {
        self.news.send(news).await.map_err(|_| CommandError::Quiet(Exit::Done))
    }

    fn closed(&self, frame: Option<&CloseFrame>) -> Result<CommandError, CommandError> {
        let Some(frame) = frame else { return Ok(self.lost()) };
        // An open socket is allowed as long as its hero exists.
        if let SessionSubject::Hero(id) = self.subject
            && *frame.reason == *CloseCode::Policy.reason()
        {
            return Err(CommandError::local(Exit::NotFound, format!("there is no hero {id}")));
        }
        let (exit, comes_back) = match SocketVerdict::of_close(Some(frame)).advice {
            Reconnect::No => (Exit::NotAllowed, false),
            // The file may contain a new token by then.
            Reconnect::NewToken => (Exit::NotAllowed, self.remote.token_file.is_some()),
            Reconnect::BackOff | Reconnect::AfterHint => (Exit::Unreachable, true),
        };
        let number = u16::from(frame.code);
        let text = format!("the gateway closed the socket ({number} {})", frame.reason);
        let why = CommandError::local(exit, text);
        if comes_back { Ok(why) } else { Err(why) }
    }

    fn lost(&self) -> CommandError {
        CommandError::local(
            Exit::Unreachable,
            format!("lost the connection to {}", self.remote.name()),
        )
    }
}

/// Waits until the filter changes, and returns the new one.
async fn changed(subject: &mut SessionSubject) -> Watch {
    if let SessionSubject::Feed(filter) = subject
        && filter.changed().await.is_ok()
    {
        return filter.borrow_and_update().clone();
    }
    // A hero's socket has no filter, and without the sender a filter no longer changes.
    std::future::pending().await
}

/// Describes the orders of a filter, for people.
fn named(watch: &Watch) -> String {
    let heroes = watch.hero_id.map_or_else(|| "every hero".to_owned(), |id| format!("hero {id}"));
    if watch.status.is_empty() {
        return heroes;
    }
    let statuses = watch.status.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    format!("{heroes} ({statuses})")
}

/// Returns a ticker whose first tick comes after the first pause.
fn every(pause: Duration) -> Interval {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

#[cfg(test)]
mod tests {
    use galley_protocol::{HeroId, Watch};
    use tokio::sync::{mpsc, watch};

    use super::{ClientSession, SessionSubject};
    use crate::cli::api::Remote;

    fn session(subject: SessionSubject) -> ClientSession {
        ClientSession::new(Remote::of("http://a:1"), subject, mpsc::channel(1).0)
    }

    #[test]
    fn a_hero_comes_back_with_the_cursor_and_staff_without() {
        let address = |session: &ClientSession| {
            session.target().expect("an address").at(session.cursor_of_socket())
        };
        let mut hero = session(SessionSubject::Hero(HeroId::new(7).expect("an id")));
        assert_eq!(address(&hero), "ws://a:1/ws?hero_id=7");
        hero.cursor = Some("a_cursor".to_owned());
        assert_eq!(address(&hero), "ws://a:1/ws?hero_id=7&cursor=a%5Fcursor");
        let mut staff = session(SessionSubject::Feed(watch::channel(Watch::all(None)).1));
        staff.cursor = Some("a_cursor".to_owned());
        assert_eq!(address(&staff), "ws://a:1/ws");
    }

    #[test]
    fn the_staff_feed_resumes_with_the_same_filter_only() {
        let all = Watch::all(None);
        let mut staff = session(SessionSubject::Feed(watch::channel(all.clone()).1));
        assert_eq!(staff.subscription(all.clone()).cursor, None);
        staff.cursor = Some("a-cursor".to_owned());
        assert_eq!(staff.subscription(all.clone()).cursor.as_deref(), Some("a-cursor"));
        let other = Watch { hero_id: HeroId::new(7).ok(), ..all.clone() };
        assert_eq!(
            (staff.subscription(other).cursor, staff.subscription(all).cursor),
            (None, None)
        );
    }
}
