//! Points at which a process ends, or a task panics, on purpose. A process ends at the edges
//! between two systems, for example after the database committed and before the bus received the
//! change.
//!
//! The crates that cross such an edge call [`reach`] there. With the feature `fail-points`, which
//! only the tests enable, `GALLEY_FAIL_POINT=after-claim-commit` ends the process there as kill -9
//! would: no destructor, no goodbye. `after-claim-commit:3` does so the third time.
//! `GALLEY_FAIL_POINT=panic in NAME` makes the part of this name panic, once. Without the feature
//! every function here is empty, and the program contains no name of a point. This crate must never
//! do anything else: a test that breaks the service must break the service that is shipped.

#[cfg_attr(feature = "fail-points", path = "armed.rs")]
#[cfg_attr(not(feature = "fail-points"), path = "unarmed.rs")]
mod points;

pub use points::{choose, hold, reach, trip, withhold};

/// A point at which a process may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// Orders are placed; they are not dispatched, and the caller may not be answered.
    AfterPlaceCommit,
    /// Orders are on the dispatch queue; the caller is not answered.
    AfterDispatch,
    /// Orders are cancelled; nothing was published, and the caller is not answered.
    AfterCancelCommit,
    /// Orders are deleted; nothing was published, and the caller is not answered.
    AfterDeleteCommit,
    /// Orders are claimed; nothing was published, and their entries are not acknowledged.
    AfterClaimCommit,
    /// The results of a claim are published; the entries are not acknowledged.
    AfterClaimPublish,
    /// Orders are adopted; nothing was published.
    AfterAdoptCommit,
    /// Orders are completed; nothing was published.
    AfterCompleteCommit,
}
