//! The low watermark that a cursor contains next to its position.
//!
//! Every order below it had its last change before the position. The low watermark that is current
//! at the position may be too high: a long transaction keeps the position back while orders end and
//! the low watermark rises.

use std::sync::{Mutex, PoisonError};

use galley_protocol::OrderId;

/// A low watermark and the `xmax` of its snapshot, which sees only changes older than `xmax`.
#[derive(Clone, Copy, Debug)]
struct SettledRead {
    low_watermark: OrderId,
    xmax: i64,
}

/// The greatest low watermark that has settled, and the next one that has not yet.
#[derive(Debug, Default)]
pub(super) struct SettledFloor(Mutex<(Option<OrderId>, Option<SettledRead>)>);

impl SettledFloor {
    /// Records what a snapshot from `xmin` to `xmax` read. The pending low watermark has settled
    /// once `xmin` reaches its `xmax`: all transactions that its snapshot did not see have ended. A
    /// value below the known one comes from another state of the database, after a failover or a
    /// restored backup, and resets both.
    pub(super) fn read(&self, low_watermark: OrderId, xmin: i64, xmax: i64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (settled, waiting) = &mut *state;
        let newest = waiting.map(|waiting| waiting.low_watermark).or(*settled);
        if newest.is_some_and(|newest| low_watermark < newest) {
            (*settled, *waiting) = (None, None);
        }
        if let Some(over) = waiting.take_if(|waiting| waiting.xmax <= xmin) {
            *settled = Some(over.low_watermark);
        }
        waiting.get_or_insert(SettledRead { low_watermark, xmax });
    }

    /// The low watermark for the cursors of snapshots that are taken from now on.
    pub(super) fn get(&self) -> OrderId {
        let (settled, _) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        settled.unwrap_or_else(|| OrderId::new(1).expect("the first id"))
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::OrderId;

    use super::SettledFloor;

    fn id(number: i64) -> OrderId {
        OrderId::new(number).expect("an id")
    }

    #[test]
    fn a_floor_settles_when_all_that_its_snapshot_did_not_see_is_over() {
        let settled = SettledFloor::default();
        assert_eq!(settled.get(), id(1));
        settled.read(id(6), 100, 111);
        settled.read(id(7), 100, 112);
        assert_eq!(
            settled.get(),
            id(1),
            "transaction 100 goes on, and order 5 may have ended in 110"
        );
        settled.read(id(8), 111, 113);
        assert_eq!(settled.get(), id(6));
        settled.read(id(9), 113, 113);
        assert_eq!(settled.get(), id(8));
    }

    #[test]
    fn a_database_that_went_back_begins_anew() {
        let settled = SettledFloor::default();
        settled.read(id(6), 100, 100);
        settled.read(id(6), 100, 100);
        assert_eq!(settled.get(), id(6));
        settled.read(id(5), 90, 90);
        assert_eq!(settled.get(), id(1));
        settled.read(id(5), 90, 90);
        assert_eq!(settled.get(), id(5));
    }
}
