//! Troubles that a database names itself: for callers in words without a path, for the log with a
//! remedy.

/// A reason for which a database does not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room left on its disk.
    Full,
    /// Its file was moved, removed or replaced while it was open.
    Gone,
    /// It takes no changes, as a standby and a disk that is mounted read-only.
    ReadOnly,
    /// Its disk reports errors.
    Failing,
    /// Its content cannot be read any more.
    Damaged,
    /// Another program holds it locked.
    Locked,
    /// Requests of this process wait for each other longer than a caller may.
    Busy,
    /// Another transaction holds what was asked for.
    Held,
    /// It has as many connections as it takes.
    Crowded,
    /// It is about to start or to stop.
    Starting,
    /// It has no memory left.
    OutOfMemory,
    /// It does not finish commits: a synchronous standby does not answer, or its disk hangs.
    Stalled,
}

impl Trouble {
    /// The trouble as a caller reads it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Full => "the storage of the database is full",
            Self::Gone => "the file of the database is gone",
            Self::ReadOnly => "the database is read-only",
            Self::Failing => "the storage of the database reports errors",
            Self::Damaged => "the database is damaged",
            Self::Locked => "another program holds the database locked",
            Self::Busy => "the database is busy with other requests",
            Self::Held => "another transaction holds what was asked for",
            Self::Crowded => "the database takes no more connections",
            Self::Starting => "the database is starting or stopping",
            Self::OutOfMemory => "the database is out of memory",
            Self::Stalled => "the database does not finish changes",
        }
    }

    /// The advice to the person who reads the log.
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

    /// Returns true if waiting may end it, without a backup.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        !matches!(self, Self::Damaged)
    }

    /// Returns true if nothing was changed: the database had refused, or rolled back.
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

    /// Returns true if it may stop changes while reads go on: then only a change shows that it is
    /// over.
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
