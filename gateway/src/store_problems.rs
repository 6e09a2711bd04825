//! The problems that clients are shown for what the store answers.

use galley_protocol::{HeroId, OrderId, Problem, ProblemType};
use galley_store::StoreError;

/// What a refused caller is told to wait.
pub const RETRY_AFTER_MS: u64 = 1_000;

/// The outcome for the caller after most failures of the database.
const UNCERTAIN: &str = "the request may or may not have been applied";

/// The answer to a request for a hero that is not there, or not the caller.
#[must_use]
pub fn no_hero(hero_id: HeroId) -> Problem {
    Problem::new(ProblemType::HeroNotFound).with_detail(format!("there is no hero {hero_id}"))
}

/// The answer to a request for an order that is not there, or not the caller's.
#[must_use]
pub fn no_order(order_id: OrderId) -> Problem {
    Problem::new(ProblemType::OrderNotFound).with_detail(format!("there is no order {order_id}"))
}

/// The problem to show for an error of the store; the error itself is for the log.
#[must_use]
pub fn problem(error: &StoreError) -> Problem {
    match error {
        // The store has logged it, once for all who ask.
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
                .with_detail("others kept changing the same at the same moment; try again")
                .with_retry_after(RETRY_AFTER_MS)
        }
        StoreError::Failed(_) => {
            tracing::error!(%error, "answered 500");
            Problem::new(ProblemType::Internal)
        }
    }
}
