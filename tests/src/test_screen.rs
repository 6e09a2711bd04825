//! A program on a pseudo-terminal, with a terminal emulator at the other end that a test can read
//! and type on.
//!
//! The program has its own session and controlling terminal, and it is dead once its `Screen` is
//! dropped. The terminal of whoever runs the tests is never touched.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::patience::PATIENCE;
use crate::program::{command, path_of};

/// A program of this workspace on a terminal.
#[derive(Debug)]
pub struct Screen {
    child: Child,
    /// The writing end for typed keys.
    keyboard: File,
    /// The program's end of the terminal. Kept open, so that its settings can be read after the
    /// program ended.
    terminal: OwnedFd,
    picture: watch::Receiver<vt100::Screen>,
}

impl Screen {
    /// Starts a program on a terminal of this size.
    #[must_use]
    pub fn start(
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        (columns, rows): (u16, u16),
    ) -> Self {
        let (ours, terminal) = open(columns, rows);
        // `setsid` makes the terminal the controlling one, which std cannot without `unsafe`. It
        // does not fork, because it leads no process group.
        let mut command = Command::from(command("setsid"));
        command
            .arg("--ctty")
            .arg(path_of(program))
            .args(arguments)
            .envs(variables.iter().copied())
            .env("TERM", "xterm-256color");
        let end = || terminal.try_clone().expect("a file can be named twice");
        command.stdin(end()).stdout(end()).stderr(end()).kill_on_drop(true);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
        let mut parser = vt100::Parser::new(rows, columns, 0);
        let (show, picture) = watch::channel(parser.screen().clone());
        let mut output = File::from(ours.try_clone().expect("a file can be named twice"));
        let read = move || {
            let mut bytes = [0; 4_096];
            // The loop ends when the other end is closed.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                parser.process(&bytes[..count]);
                show.send_replace(parser.screen().clone());
            }
        };
        std::thread::Builder::new().name("screen".to_owned()).spawn(read).expect("a thread");
        Self { child, keyboard: File::from(ours), terminal, picture }
    }

    /// Waits until the screen meets the condition, and returns it.
    pub async fn until(
        &mut self,
        what: &str,
        satisfied: impl Fn(&vt100::Screen) -> bool,
    ) -> vt100::Screen {
        let seen = self.picture.clone();
        let found = timeout(PATIENCE, self.picture.wait_for(|screen| satisfied(screen))).await;
        match found {
            Ok(Ok(screen)) => screen.clone(),
            _ => panic!("{what}: never on the screen:\n{}", seen.borrow().contents()),
        }
    }

    /// Waits until the screen shows this text, and returns its contents.
    pub async fn shows(&mut self, text: &str) -> String {
        self.until(text, |screen| screen.contents().contains(text)).await.contents()
    }

    /// Waits until the screen does not show this text any more.
    pub async fn shows_no(&mut self, text: &str) -> String {
        self.until(&format!("no {text}"), |screen| !screen.contents().contains(text))
            .await
            .contents()
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a terminal takes keys");
    }

    /// Sends the program a signal.
    pub fn signal(&mut self, signal: Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("it has not ended"), signal).expect("it is ours");
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, columns: u16, rows: u16) {
        resize(&self.terminal, columns, rows);
    }

    /// The input, output and local modes of the terminal.
    #[must_use]
    pub fn settings(&self) -> String {
        let Termios { input_modes, output_modes, local_modes, .. } =
            tcgetattr(self.terminal.as_fd()).expect("it is a terminal");
        format!("{input_modes:?} {output_modes:?} {local_modes:?}")
    }

    /// Waits for the end of the program.
    pub async fn exit(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| {
            panic!("the program does not end:\n{}", self.picture.borrow().contents())
        });
        ended.expect("a child can be waited for")
    }
}

/// Opens a terminal and returns both ends: ours and the program's.
fn open(columns: u16, rows: u16) -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .expect("the system has terminals");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("it is ours");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let path = std::ffi::OsStr::from_bytes(name.as_bytes());
    // `NOCTTY`: it must not become the controlling terminal of the tests.
    let flags = i32::try_from(OpenptFlags::NOCTTY.bits()).expect("a flag of the system");
    let mut options = File::options();
    let options =
        std::os::unix::fs::OpenOptionsExt::custom_flags(options.read(true).write(true), flags);
    let terminal = OwnedFd::from(options.open(path).expect("it can be opened"));
    resize(&terminal, columns, rows);
    (ours, terminal)
}

fn resize(terminal: &OwnedFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal.as_fd(), size).expect("a terminal has any size");
}
