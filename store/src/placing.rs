//! Placing, cancelling and deleting orders, in batches.

use async_trait::async_trait;

use crate::StoreError;
use crate::requests::{
    CancelRequest, CancelVerdict, DeleteRequest, DeleteVerdict, PlaceRequest, PlaceVerdict,
};

/// Requests of heroes that change their orders.
#[async_trait]
pub trait Placing {
    /// Places orders. Of requests with the same key in one batch the first places, the others
    /// replay it.
    async fn place(&self, requests: &[PlaceRequest]) -> Result<Vec<PlaceVerdict>, StoreError>;
    /// Cancels orders that are PENDING or `IN_PROGRESS` at a hero's request.
    async fn cancel(&self, requests: &[CancelRequest]) -> Result<Vec<CancelVerdict>, StoreError>;
    /// Deletes orders that have ended.
    async fn delete(&self, requests: &[DeleteRequest]) -> Result<Vec<DeleteVerdict>, StoreError>;
}
