//! The table of exit codes.

/// The cause of the end of a command. The numbers are part of the interface, because scripts branch
/// on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Conflict = 4,
    Stale = 5,
    Invalid = 6,
    NotAllowed = 7,
    Busy = 8,
    Unreachable = 9,
    Cancelled = 10,
    TimedOut = 11,
}

/// The table of exit codes in `galley --help`.
pub const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  any other failure; the only failure of `galley health`
   2  wrong usage: an unknown option, a bad value, a name that fits several
   3  not found (404)
   4  conflict: the order has ended, or orders are still active (409)
   5  stale: --if-version names another version than the present one (412)
   6  invalid: the gateway refused what was sent (400, 413, 415, 422)
   7  not allowed: no token, a bad one, or one without the right (401, 403)
   8  rate-limited or overloaded: try again later (429, 503)
   9  unreachable: no answer from the gateway
  10  order place --wait: the order was cancelled
  11  order place --wait: the order had not ended within --timeout";

impl Exit {
    /// Returns the cause for an answer with this HTTP status.
    pub const fn of_status(status: u16) -> Self {
        match status {
            404 | 410 => Self::NotFound,
            409 => Self::Conflict,
            412 | 428 => Self::Stale,
            400 | 413 | 415 | 422 => Self::Invalid,
            401 | 403 | 421 => Self::NotAllowed,
            429 | 503 => Self::Busy,
            // A proxy cannot reach its gateway.
            502 | 504 => Self::Unreachable,
            _ => Self::Failed,
        }
    }

    /// Returns the problem for a cause in this program: the last part of its type, its title, and
    /// the nearest HTTP status.
    pub const fn problem(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::Done | Self::Failed => ("failed", "Failed", 500),
            Self::Usage => ("usage", "Wrong usage", 400),
            Self::NotFound => ("not-found", "Not found", 404),
            Self::Conflict => ("conflict", "Conflict", 409),
            Self::Stale => ("stale", "Stale", 412),
            Self::Invalid => ("invalid", "Invalid", 422),
            Self::NotAllowed => ("not-allowed", "Not allowed", 403),
            Self::Busy => ("busy", "Busy", 503),
            Self::Unreachable => ("unreachable", "Unreachable", 503),
            Self::Cancelled => ("cancelled", "Cancelled", 409),
            Self::TimedOut => ("timed-out", "Timed out", 504),
        }
    }

    /// Returns the number in the table.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::ProblemType;

    use super::{EXIT_CODES, Exit};

    #[test]
    fn every_problem_of_the_gateway_has_its_exit_code() {
        for (status, exit) in [
            (404, Exit::NotFound),
            (409, Exit::Conflict),
            (412, Exit::Stale),
            (422, Exit::Invalid),
            (401, Exit::NotAllowed),
            (403, Exit::NotAllowed),
            (429, Exit::Busy),
            (503, Exit::Busy),
            (502, Exit::Unreachable),
            (500, Exit::Failed),
        ] {
            assert_eq!(Exit::of_status(status), exit, "{status}");
        }
        for kind in ProblemType::ALL {
            assert!((1..=9).contains(&Exit::of_status(kind.status()).code()), "{}", kind.slug());
        }
    }

    #[test]
    fn the_help_lists_each_exit_code_once_and_in_order() {
        let listed: Vec<u8> = EXIT_CODES
            .lines()
            .skip(1)
            .map(|line| line[..4].trim().parse().expect("a number"))
            .collect();
        assert_eq!(listed, (Exit::Done.code()..=Exit::TimedOut.code()).collect::<Vec<_>>());
    }
}
