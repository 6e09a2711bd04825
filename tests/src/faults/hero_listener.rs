//! A client that listens to one hero's orders at either gateway, and sends commands on the same
//! socket.
//!
//! Each listener is one task. It reconnects with its newest cursor after a pause that grows, as the
//! protocol demands, and sometimes moves to the other gateway until the crowd is calm. Never
//! panics: the checker judges the frames.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::known_orders::KnownOrders;
use super::record::{ClientAnswer, RecordedEvent, Recorder};

/// The time after which the client gives up a handshake or a command.
pub const PATIENCE: Duration = Duration::from_secs(6);
/// The first pause before a socket is opened again. It doubles up to the longest, with a random
/// factor between one half and one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The milliseconds for which a listener stays at one gateway.
const STAY: std::ops::Range<u64> = 3_000..12_000;
/// The commands that wait for the task at most; each client sends one at a time.
const MAX_WAITING: usize = 8;

type ListenerStream = WebSocketStream<MaybeTlsStream<TcpStream>>;
type PendingCommand = (Value, oneshot::Sender<ClientAnswer>);

/// A handle of a listener, to send commands and read its knowledge.
#[derive(Clone, Debug)]
pub struct HeroListener {
    /// The hero.
    pub hero: i64,
    commands: mpsc::Sender<PendingCommand>,
    picture: Arc<Mutex<KnownOrders>>,
}

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct Habit {
    /// The URLs of the gateways.
    pub gateways: Arc<[String]>,
    /// The record.
    pub recorder: Recorder,
    /// True once the clients must begin no more requests.
    pub calm: watch::Receiver<bool>,
}

struct Task {
    number: usize,
    hero: i64,
    habit: Habit,
    random: StdRng,
    commands: mpsc::Receiver<PendingCommand>,
    picture: Arc<Mutex<KnownOrders>>,
    cursor: Option<String>,
    /// Commands that wait for their answers, by id. Bounded, because a client sends one at a time
    /// and gives up after [`PATIENCE`].
    waiting: HashMap<u64, oneshot::Sender<ClientAnswer>>,
    commanded: u64,
}

impl HeroListener {
    /// Creates a listener and its task, which never ends by itself.
    pub fn new(
        number: usize,
        hero: i64,
        habit: Habit,
        seed: u64,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (commands, waiting) = mpsc::channel(MAX_WAITING);
        let picture = Arc::new(Mutex::new(KnownOrders::default()));
        let task = Task {
            number,
            hero,
            habit,
            random: StdRng::seed_from_u64(seed),
            commands: waiting,
            picture: Arc::clone(&picture),
            cursor: None,
            waiting: HashMap::new(),
            commanded: 0,
        };
        (Self { hero, commands, picture }, task.run())
    }

    /// Sends a command and waits for its answer.
    pub async fn ask(&self, command: Value) -> ClientAnswer {
        let (answer, answered) = oneshot::channel();
        if self.commands.try_send((command, answer)).is_err() {
            return ClientAnswer::Unknown("the listener is busy".to_owned());
        }
        match timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => ClientAnswer::Unknown("the socket ended".to_owned()),
            Err(_) => ClientAnswer::Unknown("no answer in time".to_owned()),
        }
    }

    /// Its current knowledge.
    pub fn picture(&self) -> MutexGuard<'_, KnownOrders> {
        self.picture.lock().expect("nothing panics while it takes in a frame")
    }
}

impl Task {
    async fn run(mut self) {
        let mut gateway = self.number;
        let mut pause = FIRST_PAUSE;
        loop {
            gateway = (gateway + 1) % self.habit.gateways.len();
            let why = match self.open(gateway).await {
                Ok(mut stream) => {
                    pause = FIRST_PAUSE;
                    self.listen(&mut stream).await
                }
                Err(why) => why,
            };
            self.waiting.clear();
            self.habit.recorder.note(RecordedEvent::Ended { listener: self.number, why });
            sleep(self.random.random_range(pause / 2..=pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Opens a socket and reads its welcome.
    async fn open(&mut self, gateway: usize) -> Result<ListenerStream, String> {
        let (listener, hero, cursor) = (self.number, self.hero, self.cursor.clone());
        let resume = cursor.as_ref().map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        self.habit.recorder.note(RecordedEvent::Opening {
            listener,
            hero: Some(hero),
            gateway,
            cursor,
        });
        let url = format!(
            "{}/ws?hero_id={hero}{resume}",
            self.habit.gateways[gateway].replacen("http", "ws", 1)
        );
        let (mut stream, _) = match timeout(PATIENCE, Box::pin(connect_async(url))).await {
            Ok(opened) => opened.map_err(|error| error.to_string())?,
            Err(_) => return Err("no handshake in time".to_owned()),
        };
        match timeout(PATIENCE, stream.next()).await {
            Ok(message) => self.take(message)?,
            Err(_) => return Err("no welcome in time".to_owned()),
        }
        Ok(stream)
    }

    /// Listens until the socket ends or the listener moves on.
    async fn listen(&mut self, stream: &mut ListenerStream) -> String {
        let leave = Instant::now() + Duration::from_millis(self.random.random_range(STAY));
        loop {
            let calm = *self.habit.calm.borrow();
            let done = tokio::select! {
                message = stream.next() => self.take(message),
                Some(command) = self.commands.recv() => self.send(stream, command).await,
                () = sleep_until(leave), if !calm => Err("moves on".to_owned()),
            };
            if let Err(why) = done {
                return why;
            }
        }
    }

    async fn send(
        &mut self,
        stream: &mut ListenerStream,
        (mut command, answer): PendingCommand,
    ) -> Result<(), String> {
        if answer.is_closed() {
            return Ok(()); // given up before there was a socket
        }
        self.commanded += 1;
        command["id"] = json!(self.commanded);
        self.waiting.retain(|_, answer| !answer.is_closed());
        self.waiting.insert(self.commanded, answer);
        stream.send(Message::text(command.to_string())).await.map_err(|error| error.to_string())
    }

    fn take(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Result<(), String> {
        match message {
            Some(Ok(Message::Text(text))) => {
                let frame: Value =
                    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
                self.hear(frame);
                Ok(())
            }
            Some(Ok(Message::Close(Some(frame)))) => Err(format!("closed with {}", frame.code)),
            Some(Ok(Message::Close(None))) | None => Err("closed".to_owned()),
            Some(Ok(
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
            )) => Ok(()),
            Some(Err(error)) => Err(error.to_string()),
        }
    }

    fn hear(&mut self, frame: Value) {
        // Noted first, before any client acts on it.
        self.habit
            .recorder
            .note(RecordedEvent::Heard { listener: self.number, frame: frame.clone() });
        self.picture.lock().expect("nothing panics while it takes in a frame").take(&frame);
        if let Some(cursor) = frame["cursor"].as_str() {
            self.cursor = Some(cursor.to_owned());
        }
        if let Some(answer) = frame["id"].as_u64().and_then(|id| self.waiting.remove(&id)) {
            // A client that has given up does not need its answer.
            let _ = answer.send(answer_of(frame));
        }
    }
}

/// Converts a frame into an answer with the status that it has over REST.
fn answer_of(frame: Value) -> ClientAnswer {
    let status =
        if frame["type"] == "error" { frame["problem"]["status"].as_u64() } else { Some(200) };
    let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or_default();
    ClientAnswer::Told { status, body: frame }
}
