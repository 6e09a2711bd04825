//! The machine on which a process runs (`proc(5)`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The properties of a machine on which figures depend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadHost {
    pub name: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
}

impl LoadHost {
    /// Describes this machine; what cannot be read is empty or 0.
    pub fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let word = |path| read(path).trim().to_owned();
        let memory = read("/proc/meminfo");
        let kilobytes = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kilobytes = kilobytes.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        Self {
            name: word("/proc/sys/kernel/hostname"),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_bytes: kilobytes.unwrap_or(0_u64) * 1_024,
            kernel: format!(
                "{} {}",
                word("/proc/sys/kernel/ostype"),
                word("/proc/sys/kernel/osrelease")
            ),
        }
    }
}

impl fmt::Display for LoadHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = crate::measures::float(self.memory_bytes >> 20) / 1_024.0;
        write!(formatter, "{}: {} cores, {gib:.1} GiB, {}", self.name, self.cores, self.kernel)
    }
}
