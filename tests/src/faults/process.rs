//! A process of a stage, which keeps its address and its log across restarts.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::TestProgram;
use crate::port;
use crate::program::{Signal, command, path_of};

const DELAY: &str = "0ms..300ms";

/// A process of a stage.
#[derive(Debug)]
pub(super) struct Process {
    /// The name in messages.
    pub(super) name: String,
    program: &'static str,
    variables: Vec<(String, String)>,
    /// The URL that it listens on; `None` for a worker.
    pub(super) url: Option<String>,
    log: PathBuf,
    running: Option<TestProgram>,
    /// Set once the process was asked to end, and may.
    leaving: bool,
}

impl Process {
    /// A process of this program that is not started yet.
    pub(super) fn new(
        program: &'static str,
        number: usize,
        folder: &Path,
        variables: &[(&str, String)],
    ) -> Self {
        let mut variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        variables.push(("GALLEY_PROCESSING_DELAY".to_owned(), DELAY.to_owned()));
        variables.push(("GALLEY_DRAIN".to_owned(), "500ms".to_owned()));
        // A start during a long fault waits for its end.
        variables.push(("GALLEY_WAIT".to_owned(), "10m".to_owned()));
        let address = (program != "galley-worker").then(|| format!("127.0.0.1:{}", port::free()));
        variables
            .extend(address.iter().map(|address| ("GALLEY_LISTEN".to_owned(), address.clone())));
        let name = format!("{program}-{number}");
        let log = folder.join(format!("{name}.log"));
        let url = address.map(|address| format!("http://{address}"));
        Self { name, program, variables, url, log, running: None, leaving: false }
    }

    /// Starts it.
    pub(super) fn start(&mut self) {
        let mut command = command(path_of(self.program));
        if self.program == "galley" {
            command.arg("--no-seed");
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        self.running = Some(TestProgram::start(&self.name, &mut command));
        self.leaving = false;
    }

    /// Returns true if it has not ended.
    pub(super) fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(TestProgram::is_running)
    }

    /// Returns true if it ended without being asked to.
    pub(super) fn has_failed(&mut self) -> bool {
        self.running.is_some() && !self.leaving && !self.is_running()
    }

    /// Returns true if it runs and was not asked to end.
    pub(super) fn is_wanted(&mut self) -> bool {
        !self.leaving && self.is_running()
    }

    /// Sends a signal to the process if it runs.
    pub(super) fn signal(&mut self, signal: Signal) {
        self.running.iter_mut().for_each(|program| program.signal(signal));
        self.leaving |= signal == Signal::TERM;
    }

    /// Kills the process if it still runs.
    pub(super) fn end(&mut self) {
        self.keep_log();
        if let Some(mut program) = self.running.take() {
            program.kill();
        }
    }

    /// Appends its output to its log.
    pub(super) fn keep_log(&mut self) {
        let Some(program) = &self.running else { return };
        let file = OpenOptions::new().create(true).append(true).open(&self.log);
        let kept = file.and_then(|mut file| writeln!(file, "{}", program.log()));
        kept.unwrap_or_else(|error| panic!("{}: {error}", self.log.display()));
    }

    /// Sets its clock an hour ahead, if `libfaketime` is installed.
    pub(super) fn shift_clock(&mut self) {
        let libraries = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let mut libraries = libraries.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
        let Some(library) = libraries.find(|path| path.exists()) else {
            println!("there is no libfaketime: every clock is right");
            return;
        };
        for (name, value) in [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME", "+1h".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ] {
            self.variables.push((name.to_owned(), value));
        }
    }
}
