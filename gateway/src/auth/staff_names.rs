//! The names of members of staff for the log: the subjects of their tokens.

use std::sync::Arc;

use dashmap::DashMap;
use galley_protocol::harmless::harmless;

/// The most names that are remembered. Further members of staff are logged by their hash.
const MOST: usize = 10_000;
/// The most characters of a name that are logged.
const LONGEST: usize = 128;

/// The subjects of tokens by their hashes.
#[derive(Debug, Default)]
pub struct StaffNames(DashMap<u64, Arc<str>>);

impl StaffNames {
    /// Remembers the subject with this hash.
    pub fn note(&self, hash: u64, subject: Option<&str>) {
        if let Some(subject) = subject
            && !self.0.contains_key(&hash)
            && self.0.len() < MOST
        {
            let name: String = harmless(subject).chars().take(LONGEST).collect();
            self.0.insert(hash, name.into());
        }
    }

    /// Returns the subject with this hash, if it is known.
    #[must_use]
    pub fn subject(&self, hash: u64) -> Option<Arc<str>> {
        self.0.get(&hash).map(|name| Arc::clone(&name))
    }

    /// Returns the subject with this hash, or the hash if none is known.
    #[must_use]
    pub fn name(&self, hash: u64) -> Arc<str> {
        self.subject(hash).unwrap_or_else(|| format!("{hash:016x}").into())
    }
}
