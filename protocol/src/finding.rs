//! The findings of a check of a dependency that answers.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Something that a check saw, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its subject, such as `database clock`.
    pub name: &'static str,
    /// The state that it is in.
    pub detail: String,
    /// The remedy; `None` if all is well.
    pub advice: Option<&'static str>,
}

impl Finding {
    /// Creates a finding, with the advice if it is needed.
    #[must_use]
    pub fn new(
        name: &'static str,
        detail: impl Into<String>,
        is_well: bool,
        advice: &'static str,
    ) -> Self {
        Self { name, detail: detail.into(), advice: (!is_well).then_some(advice) }
    }

    /// Creates the finding of a clock that a server read between `asked` and now, in seconds since
    /// the epoch.
    #[must_use]
    pub fn of_server_clock(name: &'static str, clock: f64, asked: Instant) -> Self {
        let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // The server read it about halfway.
        let here = here.as_secs_f64() - asked.elapsed().as_secs_f64() / 2.0;
        Self::of_clock(name, clock - here)
    }

    /// Creates the finding of a clock that differs by so many seconds from this machine's.
    fn of_clock(name: &'static str, ahead: f64) -> Self {
        const MOST: f64 = 1.0;
        let detail = if ahead.abs() < MOST {
            "within a second of this machine's".to_owned()
        } else {
            let direction = if ahead > 0.0 { "ahead of" } else { "behind" };
            format!("{:.1} s {direction} this machine's", ahead.abs())
        };
        let advice = "keep both by NTP: ages and latencies are wrong by the difference";
        Self::new(name, detail, ahead.abs() < MOST, advice)
    }
}

#[cfg(test)]
mod tests {
    use super::Finding;

    #[test]
    fn a_clock_is_well_within_a_second() {
        assert_eq!(Finding::of_clock("clock", -0.4).advice, None);
        for (ahead, detail) in
            [(-7.25, "7.2 s behind this machine's"), (90.0, "90.0 s ahead of this machine's")]
        {
            let finding = Finding::of_clock("clock", ahead);
            assert!(finding.detail == detail && finding.advice.is_some(), "{finding:?}");
        }
    }
}
