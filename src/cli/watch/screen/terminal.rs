//! The terminal, taken and given back.
//!
//! Guarantees that whichever way the program goes – a key, a signal, a failure, a panic – the
//! terminal is as it was: its lines, its cursor, its echo. Only kill -9 is beyond that; `reset`
//! helps then.

use std::io;
use std::mem::ManuallyDrop;

use crossterm::cursor::Show;
use crossterm::execute;
use ratatui::{DefaultTerminal, Frame};

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;

/// The terminal in our hands; dropping it gives it back. What ratatui would do then is done here,
/// for it panics when the terminal is gone.
pub struct Terminal(ManuallyDrop<DefaultTerminal>);

impl Terminal {
    /// Takes it: the alternate screen, every key as it is pressed, and a hook that gives it back
    /// before a panic is told.
    pub fn take() -> Result<Self, CommandError> {
        ratatui::try_init().map(|terminal| Self(ManuallyDrop::new(terminal))).map_err(|error| {
            give_back();
            CommandError::failed(format_args!("cannot use the terminal: {error}"))
        })
    }

    /// Draws a picture.
    pub fn draw(&mut self, picture: impl FnOnce(&mut Frame)) -> Result<(), CommandError> {
        // Nobody is there to read why.
        self.0.draw(picture).map(drop).map_err(|_| CommandError::Quiet(Exit::Done))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// A terminal that is gone cannot be given back, and need not.
fn give_back() {
    drop(ratatui::try_restore());
    drop(execute!(io::stdout(), Show));
}
