//! The problems that clients get for errors of the store.

use galley_bus::LogLimiter;
use galley_protocol::{HeroId, OrderId, Problem, ProblemType, Sentence};
use galley_store::StoreError;

/// Wait suggested to a refused caller, in milliseconds.
pub const RETRY_AFTER_MS: u64 = 1_000;

/// Returns the problem of a hero that does not exist, or is not the caller.
#[must_use]
pub fn no_hero(hero_id: HeroId) -> Problem {
    Problem::new(ProblemType::HeroNotFound).with_detail(Sentence::NoHero(hero_id))
}

#[must_use]
pub fn no_order(order_id: OrderId) -> Problem {
    Problem::new(ProblemType::OrderNotFound).with_detail(Sentence::NoOrder(order_id))
}

/// Returns the problem for an error of the store. The error itself goes only to the log.
#[must_use]
pub fn problem(error: &StoreError) -> Problem {
    match error {
        // The store has logged it, once for all callers.
        StoreError::Unavailable(_) => Problem::new(ProblemType::Unavailable)
            .with_detail(Sentence::MaybeChanged(Box::new(Sentence::DatabaseUnreachable)))
            .with_retry_after(RETRY_AFTER_MS),
        StoreError::Trouble(trouble, _) => {
            let words = Box::new(trouble.sentence());
            let detail = if trouble.changed_nothing() {
                Sentence::NothingChanged(words)
            } else {
                Sentence::MaybeChanged(words)
            };
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
                .with_detail(Sentence::Contended)
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
