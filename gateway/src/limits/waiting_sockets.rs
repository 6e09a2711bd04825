//! The places of sockets that have not presented a token yet.
//!
//! A newcomer always gets a place. If there is none, the oldest socket of the address with the most
//! such sockets has to go. One address therefore displaces its own sockets, and nobody else's.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{Address, count};

#[derive(Debug)]
pub struct WaitingSockets {
    most: usize,
    places: Mutex<Places>,
}

/// The places by number. The oldest has the lowest.
#[derive(Debug, Default)]
struct Places {
    next: u64,
    taken: BTreeMap<u64, (Address, CancellationToken)>,
}

/// A place. Dropping it releases it.
#[derive(Debug)]
pub struct WaitingPlace {
    sockets: Arc<WaitingSockets>,
    number: u64,
    displaced: CancellationToken,
}

impl WaitingSockets {
    /// Returns places for this many sockets.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, places: Mutex::default() })
    }

    /// Takes a place.
    pub fn take(self: &Arc<Self>, address: Address) -> WaitingPlace {
        let displaced = CancellationToken::new();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.taken.len() >= self.most
            && let Some((_, oldest)) =
                places.oldest_of_most().and_then(|number| places.taken.remove(&number))
        {
            count("sockets-without-token");
            oldest.cancel();
        }
        places.next += 1;
        let number = places.next;
        places.taken.insert(number, (address, displaced.clone()));
        WaitingPlace { sockets: Arc::clone(self), number, displaced }
    }
}

impl Places {
    /// The oldest place of the address that has the most.
    fn oldest_of_most(&self) -> Option<u64> {
        let mut addresses = HashMap::<Address, (usize, Reverse<u64>)>::new();
        for (number, (address, _)) in &self.taken {
            addresses.entry(*address).or_insert((0, Reverse(*number))).0 += 1;
        }
        addresses.into_values().max().map(|(_, Reverse(oldest))| oldest)
    }
}

impl WaitingPlace {
    /// Waits until the place is taken by another socket.
    pub async fn displaced(&self) {
        self.displaced.cancelled().await;
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut places = self.sockets.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Address, WaitingSockets};

    #[test]
    fn an_address_displaces_its_own_oldest_socket() {
        let address = |last: u8| Address::from(IpAddr::from([192, 0, 2, last]));
        let sockets = WaitingSockets::new(3);
        let other = sockets.take(address(1));
        let mut own = vec![sockets.take(address(2)), sockets.take(address(2))];
        own.push(sockets.take(address(2)));
        let third = sockets.take(address(3));
        let gone = |place: &super::WaitingPlace| place.displaced.is_cancelled();
        assert_eq!(own.iter().map(gone).collect::<Vec<_>>(), [true, true, false]);
        assert!(!gone(&other) && !gone(&third));
        drop(own);
        assert!(!gone(&sockets.take(address(2))), "a released place is free again");
        assert_eq!(sockets.places.lock().expect("no panic").taken.len(), 2);
    }
}
