//! Named troubles of a database: a description without paths, and a remedy for the log.

use galley_protocol::Sentence;

/// A reason why a database does not carry out requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its disk is full.
    Full,
    /// Its file was moved, removed or replaced while it was open.
    Gone,
    /// It accepts no changes: a standby, or a file on a read-only disk.
    ReadOnly,
    /// Its disk reports errors.
    Failing,
    /// Its content is corrupt.
    Damaged,
    /// Another program has locked it.
    Locked,
    /// Requests of this process wait for each other for too long.
    Busy,
    /// Another transaction has locked the rows.
    Held,
    /// It accepts no more connections.
    Crowded,
    /// It is starting or stopping.
    Starting,
    /// It has no memory left.
    OutOfMemory,
    /// It does not finish commits: a synchronous standby does not answer, or its disk hangs.
    Stalled,
}

impl Trouble {
    /// The description for callers.
    #[must_use]
    pub const fn sentence(self) -> Sentence {
        match self {
            Self::Full => Sentence::DatabaseFull,
            Self::Gone => Sentence::DatabaseGone,
            Self::ReadOnly => Sentence::DatabaseReadOnly,
            Self::Failing => Sentence::DatabaseFailing,
            Self::Damaged => Sentence::DatabaseDamaged,
            Self::Locked => Sentence::DatabaseLocked,
            Self::Busy => Sentence::DatabaseBusy,
            Self::Held => Sentence::DatabaseHeld,
            Self::Crowded => Sentence::DatabaseCrowded,
            Self::Starting => Sentence::DatabaseStarting,
            Self::OutOfMemory => Sentence::DatabaseOutOfMemory,
            Self::Stalled => Sentence::DatabaseStalled,
        }
    }

    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::Full => "make room on that disk; orders are taken again by themselves",
            Self::Gone => {
                "put the file back where it was, or stop this program and restore a backup"
            }
            Self::ReadOnly => "make it writable, or name the server that takes changes",
            Self::Failing => "look at the disk and at the system's log",
            Self::Damaged => "stop this program and restore a backup",
            Self::Locked => "end the program that holds it, such as an open SQLite shell",
            Self::Busy => "look at the speed of its disk",
            Self::Held => "end the transaction that holds it; pg_stat_activity lists it",
            Self::Crowded => "raise max_connections of the server, or run fewer programs",
            Self::Starting => "wait for it",
            Self::OutOfMemory => "give it more memory",
            Self::Stalled => {
                "bring back a standby of synchronous_standby_names or take it out, or look at the disk"
            }
        }
    }

    /// Returns true if it may end without restoring a backup.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        !matches!(self, Self::Damaged)
    }

    /// Returns true if nothing was changed: the database refused the request or rolled it back.
    #[must_use]
    pub const fn changed_nothing(self) -> bool {
        match self {
            Self::Full
            | Self::ReadOnly
            | Self::Locked
            | Self::Busy
            | Self::Held
            | Self::Crowded
            | Self::Stalled => true,
            Self::Gone | Self::Failing | Self::Damaged | Self::Starting | Self::OutOfMemory => {
                false
            }
        }
    }

    /// Returns true if reads may still succeed: only a successful change then shows its end.
    pub(crate) const fn stops_changes(self) -> bool {
        match self {
            Self::Full
            | Self::Gone
            | Self::ReadOnly
            | Self::Failing
            | Self::Damaged
            | Self::Locked
            | Self::Stalled => true,
            Self::Busy | Self::Held | Self::Crowded | Self::Starting | Self::OutOfMemory => false,
        }
    }
}
