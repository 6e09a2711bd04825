//! A process that a test started.
//!
//! Every stack and every server of a test holds its processes as [`TestProgram`]s. A process is
//! signalled only by its own pid and only before it is reaped, and it is dead once its
//! `TestProgram` is dropped. If the test fails, its output is printed. No process may be left
//! behind.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, kill_process};
use tokio::sync::watch;

pub use rustix::process::Signal;

use crate::patience::within;

/// The lines of output that are kept; at the bound the oldest is dropped.
const MAX_LINES: usize = 5_000;

type Lines = VecDeque<String>;

/// A process with its output.
#[derive(Debug)]
pub struct TestProgram {
    name: String,
    child: Child,
    /// The channel closes when both outputs have ended, which is when the process has.
    lines: watch::Receiver<Lines>,
}

/// The path of a program of this workspace, beside the tests.
#[must_use]
pub fn path_of(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // A program that is no test is in that folder itself.
    let mut paths = test.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let path = paths.find(|path| path.exists());
    path.unwrap_or_else(|| panic!("there is no {name}: run `cargo build --workspace --bins` first"))
}

/// A command that inherits only the search path from the environment.
#[must_use]
pub fn command(path: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("RUST_BACKTRACE", "1");
    command.stdin(Stdio::null());
    command
}

impl TestProgram {
    /// Starts it.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let (said, lines) = watch::channel(Lines::new());
        listen(child.stdout.take().expect("it is piped"), said.clone());
        listen(child.stderr.take().expect("it is piped"), said);
        Self { name: name.to_owned(), child, lines }
    }

    /// Waits for a line of output that contains `part`; earlier lines count.
    pub async fn line(&mut self, part: &str) -> String {
        let find = |lines: &Lines| lines.iter().find(|line| line.contains(part)).cloned();
        let found = within(part, self.lines.wait_for(|lines| find(lines).is_some())).await;
        let line = found.ok().and_then(|lines| find(&lines));
        line.unwrap_or_else(|| {
            panic!("{} ended before it said {part:?}:\n{}", self.name, self.log())
        })
    }

    /// Waits for its end.
    pub async fn exit(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        // Both outputs end with the process, so the wait below is short.
        let ended = self.lines.wait_for(|_| false);
        drop(within(&what, ended).await);
        self.child.wait().expect("a child can be waited for")
    }

    /// Returns true if it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The resident memory, in bytes, as the system counts it.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a running process has memory");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes * 1_024
    }

    /// The number of open sockets, with the one that it listens on.
    #[must_use]
    pub fn open_sockets(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        let files =
            std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}")).flatten();
        // The link of a file that was closed meanwhile cannot be read; it does not count.
        let targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        assert!(self.is_running(), "{} has ended before its signal", self.name);
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid is a positive integer");
        kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// Kills it with -9, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it was killed");
    }

    /// Stops it with SIGTERM, and expects exit code 0.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.exit().await;
        assert!(status.success(), "{} ended with {status}:\n{}", self.name, self.log());
    }

    /// Ends it at once with SIGQUIT, for programs that clean up on it, and waits for the end.
    pub fn quit(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::QUIT);
            self.child.wait().expect("it was asked to end at once");
        }
    }

    /// The output so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.lines.borrow().iter().fold(String::new(), |mut log, line| {
            writeln!(log, "{line}").expect("writing to memory does not fail");
            log
        })
    }
}

impl Drop for TestProgram {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if std::thread::panicking() {
            eprintln!("---- {} said ({killed:?}) ----\n{}", self.name, self.log());
        }
    }
}

fn listen(output: impl Read + Send + 'static, said: watch::Sender<Lines>) {
    let read = move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            said.send_modify(|lines| {
                if lines.len() == MAX_LINES {
                    lines.pop_front();
                }
                lines.push_back(line);
            });
        }
    };
    std::thread::Builder::new().name("listen".to_owned()).spawn(read).expect("a thread");
}
