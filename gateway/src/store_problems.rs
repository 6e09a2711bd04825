//! The problems that clients get for errors of the store.

use galley_bus::LogLimiter;
use galley_protocol::{Hero, HeroId, OrderId, Problem, ProblemType, Resource};
use galley_store::StoreError;

/// Wait suggested to a refused caller, in milliseconds.
pub const RETRY_AFTER_MS: u64 = 1_000;

/// The outcome of a request after most failures of the database.
const UNCERTAIN: &str = "the request may or may not have been applied";

/// Returns the problem of a hero that does not exist, or is not the caller.
#[must_use]
pub fn no_hero(hero_id: HeroId) -> Problem {
    unknown::<Hero>(hero_id)
}

/// Returns the problem of a hero or a meal that does not exist.
#[must_use]
pub fn unknown<R: Resource>(id: R::Id) -> Problem {
    Problem::new(R::NOT_FOUND).with_detail(format!("there is no {} {id}", R::WORD))
}

#[must_use]
pub fn no_order(order_id: OrderId) -> Problem {
    Problem::new(ProblemType::OrderNotFound).with_detail(format!("there is no order {order_id}"))
}

/// Returns the problem for an error of the store. The error itself goes only to the log.
#[must_use]
pub fn problem(error: &StoreError) -> Problem {
    match error {
        // The store has logged it, once for all callers.
        StoreError::Unavailable(_) => Problem::new(ProblemType::Unavailable)
            .with_detail(format!("{}; {UNCERTAIN}", error.words()))
            .with_retry_after(RETRY_AFTER_MS),
        StoreError::Trouble(trouble, _) => {
            let outcome = if trouble.changed_nothing() { "nothing was changed" } else { UNCERTAIN };
            let detail = format!("{}; {outcome}", trouble.words());
            if trouble.may_pass() {
                Problem::new(ProblemType::Unavailable)
                    .with_detail(detail)
                    .with_retry_after(RETRY_AFTER_MS)
            } else {
                Problem::new(ProblemType::Internal).with_detail(detail)
            }
        }
        StoreError::Contended(_) => {
            tracing::debug!(%error, "answered 503");
            Problem::new(ProblemType::Overloaded)
                .with_detail("other requests kept changing the same; try again")
                .with_retry_after(RETRY_AFTER_MS)
        }
        StoreError::Failed(_) => {
            static LIMIT: LogLimiter = LogLimiter::new();
            if let Some(more) = LIMIT.now() {
                tracing::error!(%error, more, "answered 500; `more` others since the last such line");
            }
            Problem::new(ProblemType::Internal)
        }
    }
}
