//! The report of a process about itself, which it sends with its heartbeats.
//!
//! A report is one word of JSON, without white space. Programs of two versions read each other's
//! reports: a reader passes over unknown fields, and every field that is added later is optional.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most bytes of a report on the bus. A longer one counts as none.
const MAX_BYTES: usize = 1_024;
/// The most characters of a version and of the name of a host.
const MAX_TEXT: usize = 64;

/// The report of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcessReport {
    /// The version of the program.
    #[schema(example = "1.0.0")]
    pub version: String,
    /// The name of its host.
    #[schema(example = "galley-1")]
    pub host: String,
    /// The number of the process on its host.
    pub pid: u32,
    /// The seconds since its start.
    pub uptime_seconds: u64,
    /// The figures of its gateway. Absent if it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub gateway: Option<GatewayReport>,
    /// The figures of its worker. Absent if it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub worker: Option<WorkerReport>,
}

/// The report of a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatewayReport {
    /// The connected sockets and event streams of heroes.
    pub hero_sockets: u64,
    /// The connected sockets and event streams of staff.
    pub staff_sockets: u64,
    /// The event streams among them.
    pub event_streams: u64,
    /// It receives no updates.
    pub deaf: bool,
    /// The repairs that became due since its start.
    pub repairs: RepairCauses,
}

/// The number of repairs by cause. A repair reads from the database what may have been missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepairCauses {
    /// The subscription was cut, or did not keep up.
    pub cut: u64,
    /// A message of a process was missing.
    pub missing: u64,
    /// A process was alive and unheard, or was heard again.
    pub unheard: u64,
    /// A process died.
    pub died: u64,
}

/// The report of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerReport {
    /// The orders that it prepares.
    pub preparing: u64,
    /// The orders that it claimed since its start.
    pub claimed: u64,
    /// The orders that it claimed within the last minute.
    pub claimed_last_minute: u64,
    /// The orders that it completed since its start.
    pub completed: u64,
    /// The orders that it completed within the last minute.
    pub completed_last_minute: u64,
    /// The orders that it took over since its start, from workers that died or left.
    pub adopted: u64,
}

impl ProcessReport {
    /// Creates a report. Only letters, digits and `.`, `-`, `_`, `+` are kept of the texts.
    #[must_use]
    pub fn new(version: &str, host: &str, pid: u32) -> Self {
        let plain = |text: &str| text.chars().filter(|it| is_plain(*it)).take(MAX_TEXT).collect();
        let (version, host) = (plain(version), plain(host));
        Self { version, host, pid, uptime_seconds: 0, gateway: None, worker: None }
    }

    /// Returns the word on the bus.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a report has string keys only")
    }

    /// Reads a word; `None` if it is no report, or one with texts that nobody should be shown.
    #[must_use]
    pub fn decode(word: &str) -> Option<Self> {
        if word.len() > MAX_BYTES || !word.starts_with('{') {
            return None;
        }
        let report: Self = serde_json::from_str(word).ok()?;
        let fits = |text: &str| text.len() <= MAX_TEXT && text.chars().all(is_plain);
        (fits(&report.version) && fits(&report.host)).then_some(report)
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | '+')
}

#[cfg(test)]
mod tests {
    use super::{GatewayReport, MAX_BYTES, ProcessReport, RepairCauses, WorkerReport};

    fn full() -> ProcessReport {
        let repairs = RepairCauses { died: u64::MAX, ..RepairCauses::default() };
        ProcessReport {
            uptime_seconds: 7,
            gateway: Some(GatewayReport { repairs, ..GatewayReport::default() }),
            worker: Some(WorkerReport { adopted: 3, ..WorkerReport::default() }),
            ..ProcessReport::new("1.0.0-rc.1+3", "kitchen 1\n\u{202e}", 9)
        }
    }

    #[test]
    fn a_report_is_one_short_word_that_leads_back_to_where_it_came_from() {
        let report = full();
        assert_eq!(report.host, "kitchen1");
        let word = report.encode();
        assert!(!word.contains(char::is_whitespace) && word.len() < MAX_BYTES, "{word}");
        assert_eq!(ProcessReport::decode(&word), Some(report));
    }

    #[test]
    fn a_newer_version_may_add_fields() {
        let newer = full().encode().replacen('{', r#"{"more":[{}],"#, 1);
        assert_eq!(ProcessReport::decode(&newer), Some(full()));
    }

    #[test]
    fn what_nobody_should_be_shown_is_no_report() {
        let word = full().encode();
        let long = "x".repeat(MAX_BYTES);
        for host in ["a b", "\\u202e", "\\n", "<b>", &"x".repeat(65), &long] {
            assert_eq!(ProcessReport::decode(&word.replace("kitchen1", host)), None, "{host}");
        }
        for garbage in ["", "-", "mac=x", "{", "{}", "[]", r#"{"version":1}"#] {
            assert_eq!(ProcessReport::decode(garbage), None, "{garbage}");
        }
    }
}
