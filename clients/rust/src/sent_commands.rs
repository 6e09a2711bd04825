//! Commands that wait for their answers, and what goes out on the present socket. Memory is bounded:
//! a command beyond the bound is refused, and of each kind of other line only the newest waits.

use std::collections::{BTreeMap, BTreeSet};

use galley_protocol::frame::{ClientFrame, Command, CommandId, Received};
use tokio::sync::oneshot;

use crate::ClientError;

/// The answer to a command.
#[derive(Debug)]
pub struct CommandOutcome {
    /// The frame.
    pub frame: Received,
    /// True if the command went out more than once: the gateway may have carried it out before.
    pub repeated: bool,
}

impl CommandOutcome {
    /// Returns an answer that is no refusal.
    pub fn good(self) -> Result<Self, ClientError> {
        if let Received::Error { problem, .. } = self.frame {
            return Err(ClientError::Problem(Box::new(problem)));
        }
        Ok(self)
    }
}

/// A command that was taken: its id, and the receiver of its answer.
pub type TakenCommand = (i64, oneshot::Receiver<Result<CommandOutcome, ClientError>>);

/// A line that is not a command with an answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherLine {
    Auth,
    Watch,
    Ping,
}

#[derive(Debug)]
pub struct SentCommand {
    line: String,
    sends: u32,
    /// How often the gateway asked to come again later.
    pub deferred: u32,
    outcome: oneshot::Sender<Result<CommandOutcome, ClientError>>,
}

/// The commands, in the order in which they were given.
#[derive(Debug)]
pub struct SentCommands {
    bound: usize,
    next_id: i64,
    waiting: BTreeMap<i64, SentCommand>,
    /// True while a socket takes commands.
    open: bool,
    ready: BTreeSet<i64>,
    other: BTreeMap<OtherLine, String>,
    /// Set at the end of the client.
    ended: Option<ClientError>,
}

impl SentCommands {
    pub fn new(bound: usize) -> Self {
        let (waiting, ready, other) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { bound, next_id: 1, waiting, open: false, ready, other, ended: None }
    }

    /// Takes a command. One of the client's own, one at a time, is not counted.
    pub fn add(&mut self, command: Command, own: bool) -> Result<TakenCommand, ClientError> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        if self.waiting.len() >= self.bound && !own {
            return Err(ClientError::OutboxFull(self.bound));
        }
        let id = self.next_id;
        self.next_id += 1;
        let line = line(&ClientFrame { id: Some(CommandId::Number(id)), command });
        let (outcome, receiver) = oneshot::channel();
        self.waiting.insert(id, SentCommand { line, sends: 0, deferred: 0, outcome });
        self.send(id);
        Ok((id, receiver))
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn get(&mut self, id: i64) -> Option<&mut SentCommand> {
        self.waiting.get_mut(&id)
    }

    /// Forgets a command; one that has not gone out never will.
    pub fn remove(&mut self, id: i64) {
        self.waiting.remove(&id);
        self.ready.remove(&id);
    }

    /// Answers a command.
    pub fn settle(&mut self, id: i64, frame: Received) {
        self.ready.remove(&id);
        if let Some(SentCommand { outcome, sends, .. }) = self.waiting.remove(&id) {
            // Whoever asked has perhaps given up.
            let _ = outcome.send(Ok(CommandOutcome { frame, repeated: sends > 1 }));
        }
    }

    /// Fails every command, and those to come.
    pub fn fail(&mut self, error: &ClientError) {
        self.stop();
        self.ended = Some(error.clone());
        for command in std::mem::take(&mut self.waiting).into_values() {
            let _ = command.outcome.send(Err(error.clone()));
        }
    }

    /// Lets a command go out, now or on the next socket.
    pub fn send(&mut self, id: i64) {
        if self.open && self.waiting.contains_key(&id) {
            self.ready.insert(id);
        }
    }

    /// Lets another line go out; false without a socket.
    pub fn say(&mut self, kind: OtherLine, command: Command) -> bool {
        if self.open {
            let id = (kind == OtherLine::Auth).then(|| CommandId::Text("renewal".to_owned()));
            self.other.insert(kind, line(&ClientFrame { id, command }));
        }
        self.open
    }

    /// A socket takes commands: what waits goes out, again if need be.
    pub fn begin(&mut self) {
        self.open = true;
        self.ready.extend(self.waiting.keys());
    }

    /// The socket is gone.
    pub fn stop(&mut self) {
        self.open = false;
        self.ready.clear();
        self.other.clear();
    }

    /// Returns the next line that goes out.
    pub fn next_line(&mut self) -> Option<String> {
        if let Some((_, line)) = self.other.pop_first() {
            return Some(line);
        }
        let command = self.waiting.get_mut(&self.ready.pop_first()?)?;
        command.sends += 1;
        Some(command.line.clone())
    }
}

fn line(frame: &ClientFrame) -> String {
    serde_json::to_string(frame).expect("commands are plain data")
}
