//! The engines: child processes of this same program, or of agents on other machines.
//!
//! The death of an engine is reported as an error by [`Fleet::next`], and so is an agent that falls
//! silent. An engine exits when its standard input closes, so that none outlives the coordinator.
//! Engines have a process group of their own, so that Ctrl-C reaches only the coordinator.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use tokio::sync::mpsc;

use crate::agent_link::{self, SILENCE};
use crate::load_failure::LoadFailure;
use crate::load_host::LoadHost;
use crate::message::{EngineMessage, EngineOrder};
use crate::plan::Plan;

/// First argument of a child process that runs as an engine.
pub const ENGINE: &str = "engine";
/// Open files of an engine other than connections; a generous estimate.
const OTHER_FILES: u64 = 64;
/// Maximum messages queued for the coordinator; beyond it, engines block on their output.
const MAX_WAITING: usize = 1_024;

pub struct Fleet {
    engines: Vec<EngineLink>,
    messages: mpsc::Receiver<(usize, Option<EngineMessage>)>,
    /// The machines of the engines.
    pub hosts: Vec<LoadHost>,
}

struct EngineLink {
    /// Names the engine in an error.
    name: String,
    input: Box<dyn Write>,
    /// The child process; `None` if an agent has it.
    process: Option<Child>,
}

/// Starts an engine, which waits for its plan.
pub fn start_engine() -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(ENGINE).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn()
}

impl Fleet {
    /// Starts the engines of these plans: here, or at the agents in turn.
    pub fn start(
        plans: &[Plan],
        agents: &[String],
        secret: Option<&str>,
    ) -> Result<Self, LoadFailure> {
        let (sender, messages) = mpsc::channel(MAX_WAITING);
        let hosts = if agents.is_empty() { vec![LoadHost::here()] } else { Vec::new() };
        let mut fleet = Self { engines: Vec::new(), messages, hosts };
        for (number, plan) in plans.iter().enumerate() {
            let output = match agents.get(number % agents.len().max(1)) {
                Some(address) => fleet.connect(address, secret, plan)?,
                None => fleet.spawn()?,
            };
            let sender = sender.clone();
            std::thread::spawn(move || listen(number, output, &sender));
            let mut plan = serde_json::to_vec(plan).expect("a plan is JSON");
            plan.push(b'\n');
            fleet.engines.last_mut().expect("one was added").say(&plan)?;
        }
        Ok(fleet)
    }

    /// Starts an engine here; returns its output.
    fn spawn(&mut self) -> Result<Box<dyn BufRead + Send>, LoadFailure> {
        let mut process = start_engine()
            .map_err(|error| LoadFailure::failed("cannot start a process", &error))?;
        let input = Box::new(process.stdin.take().expect("it is piped"));
        let output = process.stdout.take().expect("it is piped");
        let name = "a process of the load test".to_owned();
        self.engines.push(EngineLink { name, input, process: Some(process) });
        Ok(Box::new(BufReader::new(output)))
    }

    /// Starts an engine at an agent; returns its output.
    fn connect(
        &mut self,
        address: &str,
        secret: Option<&str>,
        plan: &Plan,
    ) -> Result<Box<dyn BufRead + Send>, LoadFailure> {
        let (reader, answer) = agent_link::call(address, secret)?;
        let connections = plan.sockets + plan.dashboards + plan.rest.unwrap_or(0);
        if connections as u64 + OTHER_FILES > answer.files {
            return Err(LoadFailure::Failed(format!(
                "the agent at {address} may open {} files, too few for {connections} connections: \
                 raise its limit (`ulimit -n`), or name more agents",
                answer.files
            )));
        }
        let stream = reader.get_ref();
        let input = stream.try_clone().and_then(|input| {
            stream.set_read_timeout(Some(SILENCE))?;
            Ok(Box::new(input))
        });
        let input = input
            .map_err(|error| LoadFailure::failed(&format!("the agent at {address}"), &error))?;
        if !self.hosts.contains(&answer.host) {
            self.hosts.push(answer.host);
        }
        self.engines.push(EngineLink {
            name: format!("the agent at {address}"),
            input,
            process: None,
        });
        Ok(Box::new(reader))
    }

    pub fn send(&mut self, order: EngineOrder) -> Result<(), LoadFailure> {
        let mut line = serde_json::to_vec(&order).expect("an order is JSON");
        line.push(b'\n');
        self.engines.iter_mut().try_for_each(|engine| engine.say(&line))
    }

    /// Returns the next message of any engine, with the number of that engine. Cancel-safe.
    pub async fn next(&mut self) -> Result<(usize, EngineMessage), LoadFailure> {
        match self.messages.recv().await {
            Some((number, Some(message))) => Ok((number, message)),
            Some((number, None)) => Err(self.engines[number].died()),
            None => Err(LoadFailure::Failed("every process of the load test has ended".to_owned())),
        }
    }
}

impl EngineLink {
    fn say(&mut self, line: &[u8]) -> Result<(), LoadFailure> {
        let said = self.input.write_all(line).and_then(|()| self.input.flush());
        said.map_err(|_| self.died())
    }

    fn died(&self) -> LoadFailure {
        let why = if self.process.is_some() {
            "ended by itself; out of memory?"
        } else {
            "is gone: it ended, or cannot be reached any more"
        };
        LoadFailure::Failed(format!("{} {why}", self.name))
    }
}

impl Drop for EngineLink {
    fn drop(&mut self) {
        // The engine may have ended already: then killing it fails, which does not matter. That of
        // an agent ends with the connection.
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Forwards the messages of an engine; then `None`, if it ended without [`EngineMessage::Done`].
fn listen(
    number: usize,
    output: impl BufRead,
    sender: &mpsc::Sender<(usize, Option<EngineMessage>)>,
) {
    for line in output.lines().map_while(Result::ok) {
        let message: Option<EngineMessage> = serde_json::from_str(&line).ok();
        let last = matches!(message, Some(EngineMessage::Done(_)));
        if sender.blocking_send((number, message)).is_err() || last {
            return;
        }
    }
    // The receiver is gone only when the fleet was dropped.
    let _ = sender.blocking_send((number, None));
}
