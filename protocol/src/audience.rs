//! The senders of commands, and the commands of each.

use crate::problem::{Problem, ProblemType};

/// The commands that a hero may type; the `help` of its welcome frame.
pub const HELP: &str = "type: menu | order <meal> | orders | get <order> | cancel <order> [why] | delete <order> | ping | help";

/// The commands that staff may type: it places no orders and may watch all of them.
pub const STAFF_HELP: &str = "type: watch | menu | orders | get <order> | cancel <order> [why] | delete <order> | ping | help";

/// The words and the frame types that every sender may use.
const COMMANDS: [&str; 8] = ["menu", "orders", "get", "cancel", "delete", "ping", "help", "auth"];

/// The sender of a command. Help offers only the commands that this sender may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A hero.
    Hero,
    /// Staff.
    Staff,
}

impl Audience {
    /// Returns the commands that may be typed.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Hero => HELP,
            Self::Staff => STAFF_HELP,
        }
    }

    /// The words and the frame types that only this sender may use.
    const fn own(self) -> &'static [&'static str] {
        match self {
            Self::Hero => &["order", "place"],
            Self::Staff => &["watch"],
        }
    }

    /// Returns the senders that may give a command, by their names in the documents.
    pub(crate) fn senders(command: &str) -> Vec<&'static str> {
        let senders = [(Self::Hero, "hero"), (Self::Staff, "staff")].into_iter();
        let may = |sender: Self| COMMANDS.iter().chain(sender.own()).any(|own| *own == command);
        senders.filter(|(sender, _)| may(*sender)).map(|(_, name)| name).collect()
    }

    /// Returns the answer to a command that does not exist, with the nearest one that does.
    #[must_use]
    pub fn unknown(self, word: &str) -> Problem {
        // Bounds what the answer repeats of the input.
        let short: String =
            word.chars().filter(|character| !character.is_control()).take(32).collect();
        let nearest = COMMANDS
            .iter()
            .chain(self.own())
            .map(|command| (strsim::damerau_levenshtein(command, &short), command))
            .min()
            .filter(|(distance, command)| *distance <= command.len() / 2);
        let hint = nearest.map_or_else(
            || self.help().to_owned(),
            |(_, command)| format!("did you mean `{command}`?"),
        );
        Problem::new(ProblemType::UnknownCommand)
            .with_detail(format!("there is no command `{short}`; {hint}"))
    }
}
