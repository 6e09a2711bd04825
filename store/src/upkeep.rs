//! Keeping the database in order: its schema, its floor, the processes on it.

use async_trait::async_trait;
use galley_protocol::{OrderId, PublisherId};

use crate::StoreError;
use crate::requests::Census;

/// Everything that every process does from its start to its end.
#[async_trait]
pub trait Upkeep {
    /// Brings the schema up to date; safe to call from several processes at once.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Tests that the database answers and that its schema is the one this program needs.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Shows others that this publisher lives, and that it hears updates if `hears`, until the next
    /// call or the end of this process; returns the publishers that are seen now. The incarnations
    /// of this process are kept alive as well. To be called every second.
    async fn census(&self, own: PublisherId, hears: bool) -> Result<Census, StoreError>;
    /// The smallest id of an order that may still change. Known in memory; as fresh as the last
    /// [`Upkeep::maintain`].
    fn floor(&self) -> OrderId;
    /// Moves the floor up, and forgets what is older than [`RETENTION`](crate::RETENTION). To be
    /// called every second or so.
    async fn maintain(&self) -> Result<(), StoreError>;
    /// Moves what was written so far to where a copy of the file alone finds it; nothing for a
    /// server.
    async fn checkpoint(&self) -> Result<(), StoreError>;
    /// Lets go of the database after the last request, and leaves it whole. Whatever is asked later
    /// is refused.
    async fn close(&self);
}
