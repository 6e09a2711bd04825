//! The task of a client: it opens socket after socket, as the gateway's hints and close codes ask
//! for, and reads and writes each to its end. It ends with the client.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use galley_protocol::close_code::Reconnect;
use galley_protocol::frame::Command;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client_core::{ClientCore, FrameEffect};
use crate::sent_commands::OtherLine;
use crate::{ClientSocket, ClientState, EndCause, EndReason, SocketVerdict};

/// The longest handshake, and the longest wait for the welcome after it.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After so much silence the gateway is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(25);
/// A command that waits for its answer makes silence suspicious much sooner.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so much silence following the question, the gateway counts as not answering.
const DOUBT: Duration = Duration::from_secs(2);
/// After so much more, the connection is given up and made anew.
const GIVE_UP: Duration = Duration::from_secs(6);
/// A connection that held so long was a good one: the next loss begins with a short pause again.
const GOOD: Duration = Duration::from_secs(5);
/// The other side may take so long to close.
const CLOSING: Duration = Duration::from_secs(1);

/// What outlives a socket.
#[derive(Debug, Default)]
struct Attempts {
    failures: u32,
    /// The last attempt failed for its token: another one is tried once.
    token_failed: bool,
    welcomed_before: bool,
}

/// Runs until the end of the client.
pub async fn run(core: Arc<ClientCore>) {
    let mut attempts = Attempts::default();
    let mut closing = core.closing.subscribe();
    loop {
        core.enter(ClientState::Connecting);
        let Some(verdict) = one_socket(&core, &mut attempts, &mut closing).await else { break };
        let useless = verdict.advice == Reconnect::NewToken && attempts.token_failed;
        if verdict.advice == Reconnect::No || useless {
            return core.end(verdict.why);
        }
        attempts.token_failed = verdict.advice == Reconnect::NewToken;
        // Never shorter than the gateway asked for.
        let jitter = core.options.pause.after(attempts.failures, &mut rand::rng());
        let pause = verdict.at_least + jitter;
        attempts.failures = attempts.failures.saturating_add(1);
        core.enter(ClientState::Waiting { why: verdict.why, pause });
        tokio::select! {
            () = sleep(pause) => {}
            () = core.hurry.notified() => {}
            () = closed(&mut closing) => break,
        }
    }
    core.end(EndReason { cause: EndCause::Closed, detail: "the client was closed".to_owned() });
}

/// Opens a socket and holds it to its end; `None` when the client is to end.
async fn one_socket(
    core: &Arc<ClientCore>,
    attempts: &mut Attempts,
    closing: &mut watch::Receiver<bool>,
) -> Option<SocketVerdict> {
    let opening = async {
        let token = match &core.options.token {
            Some(provider) => match timeout(HANDSHAKE, provider()).await {
                Ok(Ok(token)) => Some(token),
                Ok(Err(why)) => return Err(no_token(&why)),
                Err(_) => return Err(no_token("the provider did not answer in time")),
            },
            None => None,
        };
        core.shows(token.as_ref());
        let (cursor, most) = (core.cursor(), core.options.max_frame);
        let opened = core.target.open(cursor.as_deref(), token.as_ref(), most, HANDSHAKE).await;
        let renewable = core.options.token.is_some();
        opened
            .map_err(|error| SocketVerdict::of_refusal(&error, renewable, attempts.welcomed_before))
    };
    let opened = tokio::select! {
        opened = opening => opened,
        () = closed(closing) => return None,
    };
    let socket = match opened {
        Ok(socket) => socket,
        Err(verdict) => return Some(verdict),
    };
    let mut watchful = Watchful::new();
    let ended = hold(core, socket, &mut watchful, closing).await;
    core.stop();
    if let Some(renewing) = watchful.renewing {
        renewing.abort();
    }
    if watchful.welcomed {
        (attempts.welcomed_before, attempts.token_failed) = (true, false);
        if watchful.opened.elapsed() > GOOD {
            attempts.failures = 0;
        }
    }
    let hint = watchful.hint.map(|hint| hint.saturating_duration_since(Instant::now()));
    ended.map(|verdict| verdict.after(hint.unwrap_or_default()))
}

/// Reads and writes a socket to its end.
async fn hold(
    core: &Arc<ClientCore>,
    socket: ClientSocket,
    watchful: &mut Watchful,
    closing: &mut watch::Receiver<bool>,
) -> Option<SocketVerdict> {
    let (mut writer, mut reader) = socket.split();
    loop {
        tokio::select! {
            message = reader.next() => match message {
                Some(Ok(Message::Text(text))) => watchful.hear(core, &text),
                Some(Ok(Message::Close(frame))) => {
                    // The answer to it goes out if it can.
                    let _ = timeout(CLOSING, writer.flush()).await;
                    return Some(SocketVerdict::of_close(frame.as_ref()));
                }
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
                )) => watchful.sign_of_life(core),
                Some(Err(Error::Capacity(_))) => {
                    let most = core.options.max_frame;
                    // The next connection would bring the same frame.
                    let text = format!("a frame had more than max_frame, {most} bytes");
                    return Some(SocketVerdict::new(EndCause::TooBig, text, Reconnect::No));
                }
                Some(Err(_)) | None => return Some(SocketVerdict::of_close(None)),
            },
            () = core.wake.notified() => {
                while let Some(line) = core.next_line() {
                    watchful.asked.get_or_insert_with(Instant::now);
                    let Ok(sent) = timeout(GIVE_UP, writer.send(Message::text(line))).await else {
                        return Some(silent("the gateway takes nothing any more"));
                    };
                    // What the other side said last is still to be read.
                    if sent.is_err() {
                        break;
                    }
                }
            }
            () = sleep_until(watchful.deadline()) => {
                if let Some(verdict) = watchful.suspect(core) {
                    return Some(verdict);
                }
            }
            () = closed(closing) => {
                let _ = timeout(CLOSING, writer.close()).await;
                return None;
            }
        }
    }
}

/// Looks whether the other side still lives: asks first, and only then gives up.
struct Watchful {
    opened: Instant,
    heard: Instant,
    /// When a command went out after which nothing came.
    asked: Option<Instant>,
    /// When the gateway was asked whether it is there.
    pinged: Option<Instant>,
    /// When it began to count as not answering.
    doubted: Option<Instant>,
    welcomed: bool,
    /// When the gateway asked to come back, should it close the socket.
    hint: Option<Instant>,
    renewing: Option<AbortHandle>,
}

impl Watchful {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            opened: now,
            heard: now,
            asked: None,
            pinged: None,
            doubted: None,
            welcomed: false,
            hint: None,
            renewing: None,
        }
    }

    fn deadline(&self) -> Instant {
        match (self.doubted, self.pinged, self.asked) {
            _ if !self.welcomed => self.opened + HANDSHAKE,
            (Some(doubted), _, _) => doubted + GIVE_UP,
            (None, Some(pinged), _) => pinged + DOUBT,
            (None, None, Some(asked)) => asked + PATIENCE,
            (None, None, None) => self.heard + SILENCE,
        }
    }

    /// The deadline has passed.
    fn suspect(&mut self, core: &ClientCore) -> Option<SocketVerdict> {
        let now = Instant::now();
        if !self.welcomed {
            return Some(silent("no welcome came"));
        }
        if self.doubted.is_some() {
            return Some(silent("nothing came for too long"));
        }
        if self.pinged.is_some() {
            self.doubted = Some(now);
            core.enter(ClientState::Unresponsive);
        } else {
            self.pinged = Some(now);
            core.say(OtherLine::Ping, Command::Ping);
        }
        None
    }

    /// Whatever comes is one.
    fn sign_of_life(&mut self, core: &ClientCore) {
        self.heard = Instant::now();
        self.asked = (core.waiting() > 0).then_some(self.heard);
        self.pinged = None;
        if self.doubted.take().is_some() {
            core.enter(ClientState::Connected);
        }
    }

    fn hear(&mut self, core: &Arc<ClientCore>, text: &str) {
        self.sign_of_life(core);
        match core.hear(text) {
            FrameEffect::Nothing => {}
            FrameEffect::Welcome => {
                self.welcomed = true;
                core.enter(ClientState::Connected);
            }
            FrameEffect::Leaves(after) => self.hint = Some(self.heard + after),
            FrameEffect::Expires(after) => {
                let renewing = tokio::spawn(renew(Arc::clone(core), after)).abort_handle();
                if let Some(before) = self.renewing.replace(renewing) {
                    before.abort();
                }
            }
        }
    }
}

/// Shows the gateway a new token when a quarter to a half of the time has passed: not all at once.
/// Without one the gateway closes with 4401, and the connection comes back as after any loss.
async fn renew(core: Arc<ClientCore>, after: Duration) {
    sleep(after.mul_f64(rand::random_range(0.25..0.5))).await;
    let Some(provider) = &core.options.token else { return };
    if let Ok(Ok(token)) = timeout(HANDSHAKE, provider()).await
        && core.shows(Some(&token))
    {
        core.say(OtherLine::Auth, Command::Auth { token });
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // Without a sender nobody is left either.
    let _ = closing.wait_for(|closing| *closing).await;
}

fn silent(why: &str) -> SocketVerdict {
    SocketVerdict::new(EndCause::Silent, why, Reconnect::BackOff)
}

fn no_token(why: &str) -> SocketVerdict {
    let text = format!("no token could be had: {why}");
    SocketVerdict::new(EndCause::Unauthorized, text, Reconnect::BackOff)
}
