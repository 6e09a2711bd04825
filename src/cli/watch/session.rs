//! One WebSocket, from its handshake to its end.
//!
//! Run by [`super::link`], one after another. Guarantees that a silent connection is noticed within 45 s, and that a frame is
//! handed on before the cursor behind it is remembered. When nobody takes the frames fast enough, the socket is not read, and the
//! gateway merges what it has to tell.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use galley_launch::Failure;
use galley_protocol::close::{CloseCode, Reconnect};
use galley_protocol::frame::Received;
use galley_protocol::{HeroId, ResumeCursor};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::link::{Ended, News};
use crate::cli::api::{Remote, root_cause};
use crate::cli::problem::explain;

/// How often to ask whether the gateway is still there.
const PING_EVERY: Duration = Duration::from_secs(15);
/// How many such questions may stay without a word.
const SILENT_PINGS: u32 = 3;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What lasts from one socket to the next.
pub struct Session {
    remote: Remote,
    hero: Option<HeroId>,
    cursor: Option<ResumeCursor>,
    news: Sender<News>,
    /// Of the socket at hand.
    welcomed: bool,
    come_back_after: Option<Duration>,
}

impl Session {
    /// Nothing seen yet; what comes is told as `news`.
    pub fn new(remote: Remote, hero: Option<HeroId>, news: Sender<News>) -> Self {
        Self { remote, hero, cursor: None, news, welcomed: false, come_back_after: None }
    }

    /// Connects, and tells what comes until the socket ends.
    pub async fn run(&mut self) -> Result<Ended, Failure> {
        (self.welcomed, self.come_back_after) = (false, None);
        let why = match self.connect().await {
            Ok(mut socket) => self.listen(&mut socket).await?,
            Err(why) => why?,
        };
        Ok(Ended { why, welcomed: self.welcomed, come_back_after: self.come_back_after })
    }

    /// The inner result is why to come back later, or why never.
    async fn connect(&self) -> Result<Socket, Result<String, Failure>> {
        let base = self.remote.name();
        let request = self.request().map_err(Err)?;
        match timeout(self.remote.timeout, connect_async(request)).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(Error::Http(response))) => {
                let (head, body) = response.into_parts();
                let body = body.unwrap_or_default();
                let why = explain(&String::from_utf8_lossy(&body)).unwrap_or_else(|| format!("the answer is {}", head.status));
                let later = head.status.is_server_error() || head.status.as_u16() == 429;
                Err(if later { Ok(why) } else { Err(Failure::Failed(why)) })
            }
            Ok(Err(error)) => Err(Ok(format!("cannot reach {base}: {}", root_cause(&error)))),
            Err(_) => Err(Ok(format!("{base} did not answer within {:?}", self.remote.timeout))),
        }
    }

    fn request(&self) -> Result<Request, Failure> {
        let mut request = self.address().as_str().into_client_request().map_err(Failure::failed)?;
        if let Some(token) = self.remote.bearer()? {
            let value = HeaderValue::try_from(format!("Bearer {}", token.reveal())).expect("a token is of few characters");
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    fn address(&self) -> reqwest::Url {
        let mut url = self.remote.at("/ws");
        url.set_scheme("ws").expect("`http` may become `ws`: both are special schemes");
        let hero = self.hero.map(|id| ("hero_id", id.to_string()));
        let cursor = self.hero.and(self.cursor).map(|cursor| ("cursor", cursor.to_string()));
        if hero.is_some() {
            url.query_pairs_mut().extend_pairs(hero.into_iter().chain(cursor));
        }
        url
    }

    /// Answers why the socket ended, when it is worth coming back.
    async fn listen(&mut self, socket: &mut Socket) -> Result<String, Failure> {
        if self.hero.is_none() && socket.send(Message::text(r#"{"type":"watch"}"#)).await.is_err() {
            return Ok(self.lost());
        }
        let mut pings = every(PING_EVERY);
        let mut silent = 0;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
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
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Ok(self.lost()),
            }
        }
    }

    async fn hear(&mut self, text: &str) -> Result<(), Failure> {
        let frame: Received = serde_json::from_str(text)
            .map_err(|error| Failure::Failed(format!("a frame is not what this program understands: {error}")))?;
        if let Received::Error { problem, .. } = &frame {
            return Err(Failure::Failed(explain(&problem.to_string()).unwrap_or_else(|| problem.to_string())));
        }
        let whose = if let Received::Welcome { hero: Some(hero), .. } = &frame {
            Some(hero.name.to_string())
        } else if let Received::Reply { watching: true, .. } = &frame {
            Some("every hero".to_owned())
        } else {
            None
        };
        if let Received::Reconnect { after_ms } = frame {
            self.come_back_after = Some(Duration::from_millis(after_ms));
        }
        let cursor = frame.cursor().or(self.cursor);
        self.tell(News::Frame { text: text.to_owned(), frame }).await?;
        self.cursor = cursor;
        if let Some(whose) = whose {
            // From here on nothing is missed.
            self.welcomed = true;
            self.tell(News::Watching { whose }).await?;
        }
        Ok(())
    }

    /// Nobody who hears it any more is the end.
    async fn tell(&self, news: News) -> Result<(), Failure> {
        self.news.send(news).await.map_err(|_| Failure::Stopped)
    }

    fn closed(&self, frame: Option<&CloseFrame>) -> Result<String, Failure> {
        let Some(frame) = frame else { return Ok(self.lost()) };
        let number = u16::from(frame.code);
        let why = format!("the gateway closed the socket ({number} {})", frame.reason);
        match CloseCode::ALL.into_iter().find(|code| code.code() == number).map(CloseCode::reconnect) {
            // There may be a new one in the file.
            Some(Reconnect::NewToken) if self.remote.token_file.is_some() => Ok(why),
            Some(Reconnect::No | Reconnect::NewToken) => Err(Failure::Failed(why)),
            Some(Reconnect::BackOff | Reconnect::AfterHint) | None => Ok(why),
        }
    }

    fn lost(&self) -> String {
        format!("the connection to {} is lost", self.remote.name())
    }
}

/// The first tick comes after the first pause.
fn every(pause: Duration) -> Interval {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use galley_protocol::HeroId;

    use super::Session;
    use crate::cli::api::Remote;

    fn session(hero: Option<HeroId>) -> Session {
        let url = reqwest::Url::parse("http://a:1").expect("a URL");
        let remote = Remote { url, token: None, token_file: None, timeout: Duration::from_secs(1), json: false };
        Session::new(remote, hero, tokio::sync::mpsc::channel(1).0)
    }

    #[test]
    fn a_hero_comes_back_with_the_cursor_and_staff_without() {
        let mut hero = session(HeroId::new(7).ok());
        assert_eq!(hero.address().as_str(), "ws://a:1/ws?hero_id=7");
        hero.cursor = "r1.2".parse().ok();
        assert_eq!(hero.address().as_str(), "ws://a:1/ws?hero_id=7&cursor=r1.2");
        let mut staff = session(None);
        staff.cursor = "r1.2".parse().ok();
        assert_eq!(staff.address().as_str(), "ws://a:1/ws");
    }
}
