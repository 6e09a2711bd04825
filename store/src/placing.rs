//! Placing, cancelling and deleting orders, in batches.

use async_trait::async_trait;

use crate::StoreError;
use crate::requests::{CancelVerdict, DeleteVerdict, PlaceVerdict};
use galley_protocol::{CancelOrder, DeleteOrder, HeroId, OfHero, PlaceOrder};

/// Requests of heroes that change their orders.
#[async_trait]
pub trait Placing {
    /// Places orders. Of requests with the same key in one batch the first places, the others
    /// replay it.
    async fn place(
        &self,
        requests: &[OfHero<PlaceOrder, HeroId>],
    ) -> Result<Vec<PlaceVerdict>, StoreError>;
    /// Cancels orders that are PENDING or `IN_PROGRESS` at a hero's request.
    async fn cancel(
        &self,
        requests: &[OfHero<CancelOrder>],
    ) -> Result<Vec<CancelVerdict>, StoreError>;
    /// Deletes orders that have ended.
    async fn delete(
        &self,
        requests: &[OfHero<DeleteOrder>],
    ) -> Result<Vec<DeleteVerdict>, StoreError>;
}
