//! The work on orders: claiming, adopting, completing, handing back.

use async_trait::async_trait;
use galley_protocol::{IncarnationId, Order, OrderId};

use crate::StoreError;
use crate::requests::{Claim, Claimed, Incarnations};

/// Everything that a worker does with orders.
#[async_trait]
pub trait Work {
    /// Takes PENDING orders: each becomes `IN_PROGRESS`, owned by `owner` and due after a random
    /// delay, or is CANCELLED at once because of an allergy or because its hero or meal is gone.
    /// Orders that are not PENDING are left out of the answer.
    async fn claim(
        &self,
        owner: IncarnationId,
        claim: Claim<'_>,
    ) -> Result<Vec<Claimed>, StoreError>;
    /// Takes over at most `limit` orders `IN_PROGRESS` whose owner is dead or handed them back,
    /// with their due time. One that has been adopted from the dead
    /// [`MAX_ADOPTIONS`](crate::MAX_ADOPTIONS) times before ends as `undeliverable` instead.
    async fn adopt(&self, owner: IncarnationId, limit: usize) -> Result<Vec<Claimed>, StoreError>;
    /// Completes those of the orders that are `IN_PROGRESS` and owned by `owner`; the others are
    /// left out of the answer.
    async fn complete(
        &self,
        owner: IncarnationId,
        orders: &[OrderId],
    ) -> Result<Vec<Order>, StoreError>;
    /// Hands back every order that `owner` holds, for others to adopt; says how many. Fails while
    /// the outcome of a statement of this process is not known: it may take orders, and be seen to
    /// have done so, much later.
    async fn hand_back(&self, owner: IncarnationId) -> Result<u64, StoreError>;
    /// Begins a new incarnation and holds it alive, as long as this process lives and reaches the
    /// database.
    async fn enlist(&self) -> Result<IncarnationId, StoreError>;
    /// The incarnations.
    async fn incarnations(&self) -> Result<Incarnations, StoreError>;
}
