//! One connected client, from its welcome to its end, by WebSocket or as a stream of events.
//!
//! One task each. The [`stream`] is what both have in common; a WebSocket also carries out the commands of its client. Commands of
//! one socket are answered in their order: placements are handed in as they come and go into the same batches; any other
//! command waits for those before it.

mod catch_up;
mod command;
mod entrance;
mod event_stream;
pub mod events;
pub mod handshake;
pub mod socket;
mod stream;
mod welcome;
mod wire;

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _};
use galley_protocol::close::CloseCode;
use galley_protocol::frame::{ClientFrame, Command, Reply, ServerFrame};

use crate::limits::allowances::too_fast;
use crate::limits::rate::Verdict;
use crate::limits::{self, Meter};
use crate::metrics;
use crate::state::AppState;
use entrance::Entered;
use socket::{Heard, Socket};
use stream::Stream;
use wire::{Closed, Wire as _, say};

/// Placements of one socket that may wait for their commit at once; beyond, the socket is not read.
const MAX_IN_FLIGHT: usize = 128;
/// How long a socket that must leave waits for the answers of what it was told to do; an answer that takes longer is lost.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

struct Session {
    state: AppState,
    stream: Stream,
    answers: FuturesOrdered<BoxFuture<'static, String>>,
    /// A command that waits for those before it.
    waiting: Option<ClientFrame>,
    /// How much of its rate the client has used.
    pace: Meter,
    /// A command that lets no other begin before it ends.
    exclusive: bool,
}

/// Serves a socket until either side closes it.
async fn run(state: AppState, entered: Entered, mut socket: Socket) {
    let (stream, welcome) = Stream::begin(state.clone(), entered);
    let mut session =
        Session { state, stream, answers: FuturesOrdered::new(), waiting: None, pace: Meter::default(), exclusive: false };
    let closed = match say(&mut socket, welcome).await {
        Ok(()) => session.serve(&mut socket).await,
        Err(closed) => closed,
    };
    socket.close(closed).await;
}

impl Session {
    async fn serve(&mut self, socket: &mut Socket) -> Closed {
        loop {
            let may_read = self.waiting.is_none() && !self.exclusive && self.answers.len() < MAX_IN_FLIGHT;
            let done = tokio::select! {
                heard = socket.hear(), if may_read => self.take(socket, heard).await,
                Some(answer) = self.answers.next(), if !self.answers.is_empty() => self.answer(socket, answer).await,
                event = self.stream.next() => self.stream.say(event, socket).await,
            };
            match done {
                Ok(()) => {}
                Err(Closed::Gone) if may_read => match socket.hear().now_or_never() {
                    // What a busy session has not read yet is a sign of life, too.
                    Some(heard @ (Heard::Text(_) | Heard::Control)) => {
                        if let Err(closed) = self.take(socket, heard).await {
                            return closed;
                        }
                    }
                    Some(Heard::Closed(_)) | None => return Closed::Gone,
                },
                Err(Closed::With(CloseCode::Restart)) => return self.finish(socket).await,
                Err(closed) => return closed,
            }
        }
    }

    /// Takes one message of the client.
    async fn take(&mut self, socket: &mut Socket, heard: Heard) -> Result<(), Closed> {
        self.stream.heard();
        let text = match heard {
            Heard::Text(text) => text,
            // The answer to a ping must be taken before the next one is read: a peer that only asks would fill our memory.
            Heard::Control => return socket.flush().await,
            Heard::Closed(closed) => return Err(closed),
        };
        let parsed = ClientFrame::parse(&text);
        let allowed = match self.pace.take(self.state.config.command_rate) {
            Verdict::Taken { .. } => parsed,
            Verdict::Wait(wait) => {
                limits::count("commands");
                Err((parsed.map_or_else(|(id, _)| id, |frame| frame.id), too_fast("this socket sends commands", wait)))
            }
        };
        let frame = match allowed {
            Ok(frame) => frame,
            Err((id, problem)) => {
                ::metrics::counter!(metrics::FRAMES_REFUSED, "problem" => problem.kind.slug()).increment(1);
                let error = ServerFrame::Error { id, problem: Box::new(problem) }.encode();
                self.answers.push_back(Box::pin(std::future::ready(error)));
                return Ok(());
            }
        };
        if matches!(frame.command, Command::Place(_)) {
            self.answers.push_back(command::execute(&self.state, self.stream.hero_id(), frame));
            return Ok(());
        }
        self.waiting = Some(frame);
        self.begin_waiting(socket).await
    }

    /// Sends an answer with all others that are ready, and lets the waiting command begin when nothing is before it.
    async fn answer(&mut self, socket: &mut Socket, answer: String) -> Result<(), Closed> {
        socket.feed(answer).await?;
        while let Some(Some(answer)) = self.answers.next().now_or_never() {
            socket.feed(answer).await?;
        }
        socket.flush().await?;
        if self.answers.is_empty() {
            self.exclusive = false;
        }
        self.begin_waiting(socket).await
    }

    async fn begin_waiting(&mut self, socket: &mut Socket) -> Result<(), Closed> {
        if !self.answers.is_empty() {
            return Ok(());
        }
        let Some(frame) = self.waiting.take() else { return Ok(()) };
        match frame.command {
            Command::Watch(watch) if self.stream.hero_id().is_none() => {
                let totals = self.state.totals.now(&self.state.desk).await.totals;
                self.stream.watch(watch, Some(totals));
                let reply = Reply::Watching { watching: true, totals };
                socket.send(ServerFrame::Reply { id: frame.id, reply }.encode()).await
            }
            Command::Place(_)
            | Command::Cancel { .. }
            | Command::Delete { .. }
            | Command::Get { .. }
            | Command::Orders { .. }
            | Command::Menu { .. }
            | Command::Watch(_)
            | Command::Ping
            | Command::Help => {
                self.exclusive = true;
                self.answers.push_back(command::execute(&self.state, self.stream.hero_id(), frame));
                Ok(())
            }
        }
    }

    /// The gateway leaves: nothing more is read, but what was read is carried out and answered.
    async fn finish(&mut self, socket: &mut Socket) -> Closed {
        let answered = tokio::time::timeout(LAST_ANSWERS, async {
            while let Some(answer) = self.answers.next().await {
                self.answer(socket, answer).await?;
            }
            Ok(())
        });
        match answered.await {
            Ok(Err(closed)) => closed,
            Ok(Ok(())) | Err(_) => Closed::With(CloseCode::Restart),
        }
    }
}
