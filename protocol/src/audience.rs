//! The senders of commands, and the commands of each.

/// The words and the frame types that every sender may use.
const COMMANDS: [&str; 8] = ["menu", "orders", "get", "cancel", "delete", "ping", "help", "auth"];

/// The sender of a command. Help offers only the commands that this sender may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A hero.
    Hero,
    /// Staff: it places no orders and may watch all of them.
    Staff,
}

impl Audience {
    /// Returns the words and the frame types that this sender may use.
    pub(crate) fn commands(self) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = match self {
            Self::Hero => &["order", "place"],
            Self::Staff => &["watch"],
        };
        COMMANDS.iter().chain(own).copied()
    }

    /// Returns the senders that may give a command, by their names in the documents.
    pub(crate) fn senders(command: &str) -> Vec<&'static str> {
        let senders = [(Self::Hero, "hero"), (Self::Staff, "staff")].into_iter();
        let may = |sender: Self| sender.commands().any(|own| own == command);
        senders.filter(|(sender, _)| may(*sender)).map(|(_, name)| name).collect()
    }
}
