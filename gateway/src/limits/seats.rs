//! The limits on the number of sockets and event streams, in total and from one address.
//!
//! A client takes a seat before anything else is done for it. The seat is released when its session
//! is dropped, for whatever reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use super::Address;

#[derive(Debug)]
pub struct Seats {
    most: usize,
    most_of_one: usize,
    taken: AtomicUsize,
    /// Number of seats of each address. Empty if an address may have any number, else at most one
    /// entry for each taken seat.
    of_one: DashMap<Address, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSeat {
    Gateway,
    Address,
}

/// A seat. Dropping it releases it.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    address: Address,
}

impl Seats {
    /// Returns seats for `most` clients in total and `most_of_one` from one address. `usize::MAX`
    /// stands for any number.
    #[must_use]
    pub fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, taken: AtomicUsize::new(0), of_one: DashMap::new() })
    }

    /// Takes a seat.
    pub fn take(self: &Arc<Self>, address: Address) -> Result<Seat, NoSeat> {
        let one_more = |taken: usize| (taken < self.most).then(|| taken + 1);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map_err(|_| NoSeat::Gateway)?;
        if self.counts_addresses() {
            let mut of_one = self.of_one.entry(address).or_insert(0);
            if *of_one >= self.most_of_one {
                self.taken.fetch_sub(1, Ordering::Relaxed);
                return Err(NoSeat::Address);
            }
            *of_one += 1;
        }
        Ok(Seat { seats: Arc::clone(self), address })
    }

    fn counts_addresses(&self) -> bool {
        self.most_of_one != usize::MAX
    }
}

impl Seat {
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let seats = &self.seats;
        seats.taken.fetch_sub(1, Ordering::Relaxed);
        if seats.counts_addresses() {
            seats.of_one.remove_if_mut(&self.address, |_, of_one| {
                *of_one -= 1;
                *of_one == 0
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Address, NoSeat, Seats};

    fn address(last: u8) -> Address {
        Address::from(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn seats_are_bounded_and_come_back() {
        let seats = Seats::new(3, 2);
        let first =
            [seats.take(address(1)).expect("a seat"), seats.take(address(1)).expect("a seat")];
        assert_eq!(seats.take(address(1)).err(), Some(NoSeat::Address));
        let other = seats.take(address(2)).expect("a refused one took none");
        assert_eq!(seats.take(address(3)).err(), Some(NoSeat::Gateway));
        drop(first);
        assert!(seats.take(address(1)).is_ok());
        drop(other);
        assert!(seats.of_one.is_empty(), "addresses that are gone are forgotten");
        assert_eq!(seats.taken.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
