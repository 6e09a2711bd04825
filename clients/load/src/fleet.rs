//! The engines: child processes of this same program, owned by the coordinator.
//!
//! The death of an engine is reported as an error by [`Fleet::next`]. An engine exits when its
//! standard input closes, so that none outlives the coordinator. Engines have a process group of
//! their own, so that Ctrl-C reaches only the coordinator.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tokio::sync::mpsc;

use crate::ENGINE;
use crate::load_failure::LoadFailure;
use crate::message::{EngineMessage, EngineOrder};
use crate::plan::Plan;

/// Maximum messages queued for the coordinator; beyond it, engines block on their output.
const MAX_WAITING: usize = 1_024;

#[derive(Debug)]
pub struct Fleet {
    engines: Vec<EngineProcess>,
    messages: mpsc::Receiver<(usize, Option<EngineMessage>)>,
}

#[derive(Debug)]
struct EngineProcess {
    process: Child,
    input: ChildStdin,
}

impl Fleet {
    pub fn start(plans: &[Plan]) -> Result<Self, LoadFailure> {
        let (sender, messages) = mpsc::channel(MAX_WAITING);
        let mut fleet = Self { engines: Vec::new(), messages };
        let program = std::env::current_exe()
            .map_err(|error| LoadFailure::failed("cannot find this program", &error))?;
        for (number, plan) in plans.iter().enumerate() {
            let mut command = Command::new(&program);
            command.arg(ENGINE).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
            let mut process = command
                .spawn()
                .map_err(|error| LoadFailure::failed("cannot start a process", &error))?;
            let input = process.stdin.take().expect("it is piped");
            let output = process.stdout.take().expect("it is piped");
            fleet.engines.push(EngineProcess { process, input });
            let sender = sender.clone();
            std::thread::spawn(move || listen(number, output, &sender));
            let mut plan = serde_json::to_vec(plan).expect("a plan is JSON");
            plan.push(b'\n');
            fleet.engines.last_mut().expect("one was added").say(&plan)?;
        }
        Ok(fleet)
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
            Some((_, None)) | None => Err(died()),
        }
    }
}

impl EngineProcess {
    fn say(&mut self, line: &[u8]) -> Result<(), LoadFailure> {
        self.input.write_all(line).and_then(|()| self.input.flush()).map_err(|_| died())
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        // The engine may have ended already: then killing it fails, which does not matter.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Forwards the messages of an engine; then `None`, if it ended without [`EngineMessage::Done`].
fn listen(
    number: usize,
    output: ChildStdout,
    sender: &mpsc::Sender<(usize, Option<EngineMessage>)>,
) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let message: Option<EngineMessage> = serde_json::from_str(&line).ok();
        let last = matches!(message, Some(EngineMessage::Done(_)));
        if sender.blocking_send((number, message)).is_err() || last {
            return;
        }
    }
    // The receiver is gone only when the fleet was dropped.
    let _ = sender.blocking_send((number, None));
}

fn died() -> LoadFailure {
    LoadFailure::Failed("a process of the load test ended by itself; out of memory?".to_owned())
}
