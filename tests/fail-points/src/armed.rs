//! The implementation with fail points, built for tests only.

use std::future::pending;
use std::process::abort;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::FailPoint;

/// The environment variable that chooses a point.
const VARIABLE: &str = "GALLEY_FAIL_POINT";

/// Every point with its name.
const NAMES: [(&str, FailPoint); 8] = [
    ("after-place-commit", FailPoint::AfterPlaceCommit),
    ("after-dispatch", FailPoint::AfterDispatch),
    ("after-cancel-commit", FailPoint::AfterCancelCommit),
    ("after-delete-commit", FailPoint::AfterDeleteCommit),
    ("after-claim-commit", FailPoint::AfterClaimCommit),
    ("after-claim-publish", FailPoint::AfterClaimPublish),
    ("after-adopt-commit", FailPoint::AfterAdoptCommit),
    ("after-complete-commit", FailPoint::AfterCompleteCommit),
];

/// The parts that can be made to panic: the tasks that must not end, and the work of each kind of
/// batch.
const PARTS: [&str; 28] = [
    "accept loop",
    "subscriber of updates",
    "heartbeat of sockets",
    "publisher of updates",
    "writer of placements",
    "writer of cancellations",
    "writer of deletions",
    "reader of snapshots",
    "reader of changes",
    "reader of states",
    "batch of placements",
    "batch of cancellations",
    "batch of deletions",
    "batch of snapshots",
    "batch of changes",
    "batch of states",
    "worker's heartbeat",
    "worker's completer",
    "worker's adopter",
    "worker's consumer",
    "worker's sweeper",
    "worker's maintenance",
    "bus",
    "mender of holes",
    "heartbeat of the publisher",
    "mender of a link",
    "listener",
    "listener to signals",
];
/// The prefix of a choice that names one of these parts.
const PANIC: &str = "panic in ";

/// The choice of this process.
static CHOSEN: OnceLock<Chosen> = OnceLock::new();

/// A point, and the number of times it is still passed.
#[derive(Debug)]
struct Chosen {
    name: &'static str,
    /// The point; `None` if a part panics instead.
    point: Option<FailPoint>,
    passes: AtomicU64,
}

/// Reads the choice from the environment and returns the name of the point. Must be called once,
/// before any point is reached.
///
/// # Errors
/// One line about what is wrong with the choice.
pub fn choose() -> Result<Option<&'static str>, String> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let chosen = parse(&text.to_string_lossy())?;
    Ok(Some(CHOSEN.get_or_init(|| chosen).name))
}

/// Ends the process if this is the chosen point and its turn has come.
pub fn reach(point: FailPoint) {
    let Some(chosen) = chosen(point) else { return };
    if !chosen.pass() {
        eprintln!("aborted at the fail point {}", chosen.name);
        abort();
    }
}

/// Panics, once, if the part of this name was chosen and its turn has come.
///
/// # Panics
/// When a test chose this part.
pub fn trip(part: &str) {
    let Some(chosen) = CHOSEN.get().filter(|chosen| chosen.point.is_none() && chosen.name == part)
    else {
        return;
    };
    assert!(chosen.pass(), "a panic on purpose in {part}");
}

/// Decides now, and then holds its caller for ever if the process ends at this point the next time.
/// For a task that would otherwise go on while another task reaches the point.
pub fn hold(point: FailPoint) -> impl Future<Output = ()> {
    let is_held = is_next(point);
    async move {
        if is_held {
            pending::<()>().await;
        }
    }
}

/// Returns the value, or an empty one if the process ends at this point the next time. For what
/// would otherwise leave the process together with something that must leave before the point.
#[must_use]
pub fn withhold<T: Default>(point: FailPoint, value: T) -> T {
    if is_next(point) { T::default() } else { value }
}

/// Returns true if the process ends at this point the next time.
fn is_next(point: FailPoint) -> bool {
    chosen(point).is_some_and(|chosen| chosen.passes.load(Ordering::Relaxed) == 0)
}

fn chosen(point: FailPoint) -> Option<&'static Chosen> {
    CHOSEN.get().filter(|chosen| chosen.point == Some(point))
}

impl Chosen {
    /// Returns false once the point must not be passed any more. Later calls return true again.
    fn pass(&self) -> bool {
        self.passes.fetch_sub(1, Ordering::Relaxed) != 0
    }
}

fn parse(text: &str) -> Result<Chosen, String> {
    let (name, time) = text.split_once(':').unwrap_or((text, "1"));
    let ends =
        NAMES.iter().find(|(known, _)| *known == name).map(|(name, point)| (*name, Some(*point)));
    let panics = || {
        name.strip_prefix(PANIC)
            .and_then(|part| PARTS.iter().find(|known| **known == part))
            .map(|part| (*part, None))
    };
    let (name, point) = ends.or_else(panics).ok_or_else(|| {
        let names = NAMES
            .map(|(name, _)| name.to_owned())
            .into_iter()
            .chain(PARTS.map(|part| format!("{PANIC}{part}")));
        let names = names.collect::<Vec<_>>().join(", ");
        format!(
            "invalid value '{text}' for '{VARIABLE}': there is no such fail point among {names}"
        )
    })?;
    match time.parse::<u64>().ok().and_then(|time| time.checked_sub(1)) {
        Some(passes) => Ok(Chosen { name, point, passes: passes.into() }),
        None => Err(format!(
            "invalid value '{text}' for '{VARIABLE}': after the colon comes a number from 1"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::FailPoint;

    #[test]
    fn a_choice_is_a_name_and_perhaps_the_time() {
        let read = |text| parse(text).map(|chosen| (chosen.point, chosen.passes.into_inner()));
        assert_eq!(read("after-dispatch"), Ok((Some(FailPoint::AfterDispatch), 0)));
        assert_eq!(read("after-claim-commit:3"), Ok((Some(FailPoint::AfterClaimCommit), 2)));
        assert_eq!(read("panic in accept loop:2"), Ok((None, 1)));
        for wrong in [
            "",
            "after-lunch",
            "after-dispatch:0",
            "after-dispatch:",
            "after-dispatch:x",
            ":1",
            "panic in ",
            "panic in bed",
        ] {
            let error = read(wrong).expect_err(wrong);
            assert!(
                error.starts_with(&format!("invalid value '{wrong}' for 'GALLEY_FAIL_POINT'")),
                "{error}"
            );
        }
    }
}
