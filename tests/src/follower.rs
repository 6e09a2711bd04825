//! A client that follows the orders of one hero over any number of sockets, cheap enough for tests
//! with thousands of clients.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::hero_view::HeroNews;
use crate::patience::{PATIENCE, within};
use crate::{HeroView, Truth};

/// The read buffer that tungstenite keeps for each socket.
const READ_BUFFER: usize = 2 * 1_024;

/// Waits until the final state of the database is known.
pub async fn told(truth: &mut FinalTruth) -> Arc<Truth> {
    let told = truth.wait_for(Option::is_some).await.expect("the test tells the truth in the end");
    told.clone().expect("it was waited for")
}

/// Waits for all followers; fails with some of their errors.
pub async fn everybody<T: 'static>(following: JoinSet<Result<T, String>>) -> Vec<T> {
    let (mut well, mut errors) = (Vec::new(), Vec::new());
    for followed in following.join_all().await {
        match followed {
            Ok(follower) => well.push(follower),
            Err(error) => errors.push(error),
        }
    }
    assert!(
        errors.is_empty(),
        "{} of {}: {:#?}",
        errors.len(),
        errors.len() + well.len(),
        &errors[..errors.len().min(5)]
    );
    well
}

/// A client with its view and its current socket.
pub struct Follower {
    /// The orders that it knows.
    pub view: HeroView,
    stream: WebSocketStream<TcpStream>,
}

/// The end of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketEnd {
    /// A close frame with this code.
    With(u16),
    /// No close frame, for this reason.
    Cut(String),
}

/// The final state of the database; `None` until no order changes any more.
pub type FinalTruth = watch::Receiver<Option<Arc<Truth>>>;

impl Follower {
    /// Opens a first socket at the gateway at this URL, with a cursor or without, and reads its
    /// welcome.
    pub async fn open(gateway: &str, hero: i64, cursor: Option<&str>) -> Self {
        Self::begin(gateway, HeroView::empty(hero, cursor)).await
    }

    /// Opens the next socket, at any gateway, with the cursor of the last frame.
    pub async fn resume(self, gateway: &str) -> Self {
        let Self { view, stream } = self;
        drop(stream);
        Self::begin(gateway, view).await
    }

    /// Opens a first socket, again and again until it has a welcome: a machine that is too slow for
    /// its database refuses some.
    pub async fn open_at_last(gateway: &str, hero: i64) -> Self {
        Self::begin_at_last(gateway, HeroView::empty(hero, None), Duration::ZERO).await
    }

    /// Opens the next socket as a page with our library does: after a pause that is never shorter
    /// than the gateway asked for, and repeatedly, with back-off, until it has a welcome.
    pub async fn come_back(self, gateway: &str, at_least: Duration) -> Self {
        let Self { view, stream } = self;
        drop(stream);
        Self::begin_at_last(gateway, view, at_least).await
    }

    async fn begin_at_last(gateway: &str, mut view: HeroView, mut at_least: Duration) -> Self {
        for attempt in 0_u32.. {
            let longest = Duration::from_millis(250 * 2_u64.pow(attempt.min(5)));
            tokio::time::sleep(std::mem::take(&mut at_least) + longest.mul_f64(rand::random()))
                .await;
            let known = view.clone();
            if let Ok(mut follower) = Self::try_begin(gateway, view).await
                && matches!(
                    tokio::time::timeout(PATIENCE, follower.next()).await,
                    Ok(Ok(HeroNews::Welcome))
                )
            {
                return follower;
            }
            view = known;
        }
        unreachable!("the test ends long before 2^32 attempts")
    }

    /// Takes over a socket with the bytes that were already read from it, its welcome included.
    pub async fn take_over(stream: TcpStream, read: Vec<u8>, view: HeroView) -> Self {
        let stream =
            WebSocketStream::from_partially_read(stream, read, Role::Client, Some(lean())).await;
        Self { view, stream }
    }

    /// Waits for a frame and applies it. Cancel safe.
    ///
    /// # Errors
    /// [`SocketEnd`] when the socket has ended.
    pub async fn next(&mut self) -> Result<HeroNews, SocketEnd> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(self.view.take(&text)),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(SocketEnd::With(frame.code.into()));
                }
                Some(Ok(Message::Close(None))) | None => {
                    return Err(SocketEnd::Cut("no close code".to_owned()));
                }
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                    panic!("the gateway speaks text")
                }
                Some(Err(error)) => return Err(SocketEnd::Cut(error.to_string())),
            }
        }
    }

    /// Sends a command.
    pub async fn say(&mut self, text: String) {
        within("the send", self.stream.send(Message::text(text)))
            .await
            .expect("the socket is open");
    }

    /// Sends a command that must succeed, and waits for its answer.
    pub async fn command(&mut self, text: String) {
        self.say(text).await;
        loop {
            match self.heard("a reply").await {
                HeroNews::Reply => return,
                HeroNews::Refusal => panic!("a command was refused"),
                HeroNews::Welcome
                | HeroNews::Change
                | HeroNews::Resync
                | HeroNews::Resource
                | HeroNews::Reconnect(_) => {}
            }
        }
    }

    /// Closes the socket, without waiting for the answer.
    pub async fn close(&mut self) {
        // An error is fine: the gateway may have closed the socket meanwhile.
        let _ = within("the close", self.stream.close(None)).await;
    }

    /// Reads from a socket that must stay open until the view equals the database.
    ///
    /// # Errors
    /// The difference or the end of the socket; thousands of followers should not all panic.
    pub async fn until_equal(mut self, mut truth: FinalTruth) -> Result<Self, String> {
        let truth = loop {
            tokio::select! {
                told = told(&mut truth) => break told,
                news = self.next() => drop(news.map_err(|ended| format!("the socket was to stay open: {ended}"))?),
            }
        };
        while let Some(difference) = self.view.difference(&truth) {
            match tokio::time::timeout(PATIENCE, self.next()).await {
                Ok(Ok(_)) => {}
                Ok(Err(ended)) => {
                    return Err(format!("the socket was to stay open: {ended}; {difference}"));
                }
                Err(_) => return Err(format!("no frame within {PATIENCE:?}; {difference}")),
            }
            // The comparison looks at every order: all frames that are here come first.
            while let Some(news) = self.next().now_or_never() {
                news.map_err(|ended| {
                    format!("the socket was to stay open: {ended}; {difference}")
                })?;
            }
        }
        Ok(self)
    }

    async fn begin(gateway: &str, view: HeroView) -> Self {
        let begun = Self::try_begin(gateway, view).await;
        let mut follower = begun.unwrap_or_else(|error| panic!("no socket: {error}"));
        assert_eq!(follower.heard("the welcome").await, HeroNews::Welcome);
        follower
    }

    async fn try_begin(gateway: &str, view: HeroView) -> Result<Self, Error> {
        let address = gateway.strip_prefix("http://").expect("the tests speak plain HTTP");
        let cursor = view.cursor().map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let url = format!("ws://{address}/ws?hero_id={}{cursor}", view.hero());
        let (stream, _) = within("the handshake", async {
            let stream = TcpStream::connect(address).await?;
            client_async_with_config(url, stream, Some(lean())).await
        })
        .await?;
        Ok(Self { view, stream })
    }

    /// The next frame of a socket that must be open; fails with `what` if none comes.
    async fn heard(&mut self, what: &str) -> HeroNews {
        let news = tokio::time::timeout(PATIENCE, self.next()).await;
        let news = news.unwrap_or_else(|_| panic!("no frame within {PATIENCE:?}: {what}"));
        news.unwrap_or_else(|ended| panic!("the socket was to stay open: {ended}; {what}"))
    }
}

impl fmt::Display for SocketEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::With(code) => write!(formatter, "closed with {code}"),
            Self::Cut(why) => write!(formatter, "cut: {why}"),
        }
    }
}

fn lean() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(READ_BUFFER).write_buffer_size(0)
}
