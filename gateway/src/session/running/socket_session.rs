//! The service of a WebSocket's client while it is not idle: its commands, their answers, and the
//! frames of its stream.
//!
//! The commands of one socket are answered in order. Placements start at once, so that several
//! share a batch. Any other command waits until all commands before it have been answered.
//!
//! A client that never pauses does not keep the task to itself: see [`Socket::receive_in_turn`].

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _};
use galley_protocol::close_code::CloseCode;
use galley_protocol::frame::{ClientFrame, Command, CommandId, Reply, ServerFrame};
use galley_protocol::jwt::Who;
use galley_protocol::{BearerToken, Problem, TraceContext};

use super::execute::{self, CommandReply};
use super::flood::FloodGauge;
use super::outgoing::Stream;
use super::renewal;
use crate::limits::{CallerKey, RefusalVerdict};
use crate::metrics;
use crate::session::wire::socket::{Socket, SocketInput};
use crate::session::wire::{Closed, Wire as _};
use crate::state::AppState;

/// The most placements of one socket that may wait for their commit. At the bound the socket is not
/// read.
const MAX_IN_FLIGHT: usize = 128;

pub struct Session<'a> {
    state: AppState,
    stream: &'a mut Stream,
    who: Option<Who>,
    /// The answers of the commands that run, in the order of the commands.
    answers: FuturesOrdered<BoxFuture<'static, CommandReply>>,
    /// The command that waits for those before it, if any.
    waiting: Option<ClientFrame>,
    /// The unit of its limits.
    key: CallerKey,
    /// The span that the handshake named.
    named: Option<&'a TraceContext>,
    flood: &'a mut FloodGauge,
    /// True while a command runs that must end before another one begins.
    exclusive: bool,
}

impl<'a> Session<'a> {
    pub fn new(
        stream: &'a mut Stream,
        key: CallerKey,
        named: Option<&'a TraceContext>,
        flood: &'a mut FloodGauge,
        who: Option<Who>,
    ) -> Self {
        let state = stream.state().clone();
        Self {
            state,
            stream,
            who,
            answers: FuturesOrdered::new(),
            waiting: None,
            key,
            named,
            flood,
            exclusive: false,
        }
    }

    pub async fn serve(mut self, socket: &mut Socket) -> Result<(), Closed> {
        loop {
            let may_read =
                self.waiting.is_none() && !self.exclusive && self.answers.len() < MAX_IN_FLIGHT;
            let may_idle = self.waiting.is_none()
                && self.answers.is_empty()
                && self.stream.may_idle()
                && socket.may_idle();
            let done = tokio::select! {
                biased; // reading is bounded by the commands in flight, sending is not
                heard = socket.receive_in_turn(), if may_read => self.take(socket, heard).await,
                Some(answer) = self.answers.next(), if !self.answers.is_empty() => {
                    self.answer(socket, answer).await
                }
                event = self.stream.next() => self.stream.send_event(event, socket).await,
                () = std::future::ready(()), if may_idle => return Ok(()),
            };
            match done {
                Ok(()) => {}
                Err(Closed::Gone) if may_read => match socket.receive().now_or_never() {
                    // Unread bytes are a sign of life, too: a busy session may not have read them
                    // yet.
                    Some(
                        heard @ (SocketInput::Text(_)
                        | SocketInput::Binary(_)
                        | SocketInput::Control
                        | SocketInput::Fragment),
                    ) => {
                        self.take(socket, heard).await?;
                    }
                    Some(SocketInput::Closed(closed)) => {
                        return Err(self.finish(socket, closed).await);
                    }
                    None => return Err(Closed::Gone),
                },
                Err(closed) => return Err(self.finish(socket, closed).await),
            }
        }
    }

    async fn take(&mut self, socket: &mut Socket, heard: SocketInput) -> Result<(), Closed> {
        self.stream.note_life();
        let text = match heard {
            SocketInput::Text(text) => text,
            SocketInput::Binary(_) => return Err(Closed::With(CloseCode::NotText)),
            SocketInput::Control => return self.flood.note_control(),
            SocketInput::Fragment => return Ok(()),
            SocketInput::Closed(closed) => return Err(closed),
        };
        let parsed = ClientFrame::parse(&text, execute::audience(self.stream.hero_id()));
        let allowed = match self.charge(&parsed, text.len()) {
            Ok(()) => parsed,
            Err(problem) => {
                match self.state.limits.refusal(self.key) {
                    RefusalVerdict::Answer => {}
                    RefusalVerdict::Pause => socket.pause(),
                    RefusalVerdict::Close => return Err(Closed::With(CloseCode::Flooding)),
                }
                Err((parsed.map_or_else(|(id, _)| id, |frame| frame.id), problem))
            }
        };
        let frame = match allowed {
            Ok(frame) => frame,
            Err((id, problem)) => {
                ::metrics::counter!(metrics::FRAMES_REFUSED, "problem" => problem.kind.slug())
                    .increment(1);
                let problem = Box::new(problem.spoken_in(socket.language()));
                let error = ServerFrame::Error { id, problem }.encode();
                self.answers.push_back(Box::pin(std::future::ready(error.into())));
                return Ok(());
            }
        };
        if matches!(frame.command, Command::Place(_)) {
            self.answers.push_back(execute::execute(
                &self.state,
                self.stream.hero_id(),
                self.key,
                self.named,
                frame,
                socket.language(),
            ));
            return Ok(());
        }
        self.waiting = Some(frame);
        self.begin_waiting(socket).await
    }

    /// Charges a frame of this many bytes, whether or not it is a command.
    fn charge<E>(&self, parsed: &Result<ClientFrame, E>, bytes: usize) -> Result<(), Problem> {
        self.state.limits.command(self.key)?;
        match parsed {
            Ok(ClientFrame { command: Command::Place(_) | Command::Cancel(_), .. }) => {
                self.state.limits.write(self.key, bytes)
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Sends all answers that are ready. Then starts the waiting command, if it is the next.
    async fn answer(&mut self, socket: &mut Socket, answer: CommandReply) -> Result<(), Closed> {
        self.stream.note_shown(&answer.shown);
        socket.feed(answer.text).await?;
        while let Some(Some(answer)) = self.answers.next().now_or_never() {
            self.stream.note_shown(&answer.shown);
            socket.feed(answer.text).await?;
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
                let totals = self
                    .state
                    .totals
                    .now(&**self.state.commands.store())
                    .await
                    .map(|count| count.totals);
                let (resume, cursor) = self.stream.watch(watch, totals).await;
                let reply = Reply::Watching { watching: true, totals, resume, cursor };
                socket.send(ServerFrame::Reply { id: frame.id, reply }.encode()).await
            }
            Command::Auth { token } => self.renew(socket, frame.id, &token).await,
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
                self.answers.push_back(execute::execute(
                    &self.state,
                    self.stream.hero_id(),
                    self.key,
                    self.named,
                    frame,
                    socket.language(),
                ));
                Ok(())
            }
        }
    }

    async fn renew(
        &mut self,
        socket: &mut Socket,
        id: Option<CommandId>,
        token: &BearerToken,
    ) -> Result<(), Closed> {
        match renewal::renew(&self.state, self.who, token).await {
            Ok(claims) => {
                self.stream.take_token(claims);
                socket.send(renewal::authenticated(id, claims)).await
            }
            Err((problem, close)) => {
                let problem = Box::new(problem.spoken_in(socket.language()));
                socket.send(ServerFrame::Error { id, problem }.encode()).await?;
                close.map_or(Ok(()), |code| Err(Closed::With(code)))
            }
        }
    }

    /// Ends the session, after all earlier commands have been executed and answered.
    async fn finish(&mut self, socket: &mut Socket, why: Closed) -> Closed {
        let Some(patience) = why.last_answers() else { return why };
        let answered = tokio::time::timeout(patience, async {
            loop {
                while let Some(answer) = self.answers.next().await {
                    self.answer(socket, answer).await?;
                }
                // A gateway that stops still reads the commands that have arrived. After a token
                // has expired no further command is read.
                if why != Closed::With(CloseCode::Restart) {
                    return Ok(());
                }
                match socket.receive().now_or_never() {
                    Some(heard) => self.take(socket, heard).await?,
                    None => return Ok(()),
                }
                // Yields, so that a peer that never pauses cannot outlast the timeout.
                tokio::task::yield_now().await;
            }
        });
        match answered.await {
            Ok(Err(closed)) => closed,
            Ok(Ok(())) | Err(_) => why,
        }
    }
}
