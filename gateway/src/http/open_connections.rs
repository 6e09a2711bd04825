//! The connections of the accept loop, from their acceptance to their end or their upgrade, and the
//! limits on them.
//!
//! When few of the files that the process may open are free, connections without a request are
//! closed: first those that never had one, then the idle ones, the oldest first. So new clients and
//! health checks are served, however many connections somebody holds. Upgraded connections are
//! never closed for this.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd as _};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;

use super::tracked_stream::ConnectionProgress;
use crate::limits::rate::now;
use crate::limits::{Address, Seat, Seats, count};

/// The part of the files, and the number, that is kept free.
const RESERVED: (usize, usize) = (16, 64);
/// The part of the reserve that is gained at once: finding the oldest costs a look at each.
const GAINED: usize = 4;
/// The age, in nanoseconds, below which a connection without a request may still bring one. Such
/// connections go last.
const YOUNG: u64 = 1_000_000_000;

#[derive(Debug)]
pub struct OpenConnections {
    /// The most files that the process may open.
    files: usize,
    seats: Arc<Seats>,
    open: Mutex<ConnectionTable>,
}

/// The connections by number.
#[derive(Debug, Default)]
struct ConnectionTable {
    next: u64,
    rows: BTreeMap<u64, ConnectionRow>,
}

#[derive(Debug)]
struct ConnectionRow {
    accepted: u64,
    progress: ConnectionProgress,
    unwanted: CancellationToken,
}

/// A connection. Dropping it removes it.
#[derive(Debug)]
pub struct OpenConnection {
    connections: Arc<OpenConnections>,
    number: u64,
    pub progress: ConnectionProgress,
    /// Cancelled if the connection should end as soon as no request is served on it.
    pub unwanted: CancellationToken,
}

impl OpenConnections {
    /// Returns the limits for `most_of_one` connections of an address.
    #[must_use]
    pub fn new(most_of_one: usize) -> Arc<Self> {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        let seats = Seats::new(usize::MAX, most_of_one);
        Arc::new(Self { files, seats, open: Mutex::default() })
    }

    /// Takes a seat for a connection of this address, which also the socket that it becomes holds.
    /// `None` if the address has as many as it may.
    pub fn seat(&self, address: Address) -> Option<Seat> {
        let seat = self.seats.take(address).ok();
        if seat.is_none() {
            count("connections-per-ip");
        }
        seat
    }

    /// Adds a connection. Makes room if its file shows that few are left: the kernel gives each new
    /// file the lowest free number.
    pub fn add(self: &Arc<Self>, stream: impl AsFd) -> OpenConnection {
        let file = usize::try_from(stream.as_fd().as_raw_fd()).unwrap_or_default();
        if file >= self.files.saturating_sub(self.reserve()) {
            self.make_room();
        }
        let (progress, unwanted) = (ConnectionProgress::default(), CancellationToken::new());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.next += 1;
        let number = open.next;
        let row = ConnectionRow {
            accepted: now(),
            progress: progress.clone(),
            unwanted: unwanted.clone(),
        };
        open.rows.insert(number, row);
        OpenConnection { connections: Arc::clone(self), number, progress, unwanted }
    }

    /// Ends some of the connections without a request.
    pub fn make_room(&self) {
        let now = now();
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = open.rows.values();
        let mut waiting: Vec<_> = waiting
            .filter(|row| !row.progress.is_serving() && !row.unwanted.is_cancelled())
            .map(|row| {
                let answered = row.progress.idle_since();
                let is_young = answered == 0 && now < row.accepted + YOUNG;
                (is_young, answered, &row.unwanted)
            })
            .collect();
        // Stable: those that never had an answer stay in the order of their age.
        waiting.sort_by_key(|(is_young, answered, _)| (*is_young, *answered));
        for (_, _, unwanted) in waiting.into_iter().take((self.reserve() / GAINED).max(1)) {
            count("open-files");
            unwanted.cancel();
        }
    }

    fn reserve(&self) -> usize {
        (self.files / RESERVED.0).max(RESERVED.1).min(self.files / 2)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.rows.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{OpenConnections, Seats};

    #[test]
    fn the_oldest_without_a_request_makes_room() {
        let open = OpenConnections {
            files: 0,
            seats: Seats::new(usize::MAX, usize::MAX),
            open: Mutex::default(),
        };
        let open = Arc::new(open);
        let stream = std::net::UdpSocket::bind("127.0.0.1:0").expect("a file");
        let connections: Vec<_> = (0..4).map(|_| open.add(&stream)).collect();
        let gone =
            || -> Vec<bool> { connections.iter().map(|one| one.unwanted.is_cancelled()).collect() };
        // Each of them made room when it came, for the reserve is never free.
        assert_eq!(gone(), [true, true, true, false]);
        let later: Vec<_> = (0..3).map(|_| open.add(&stream)).collect();
        drop(later);
        assert_eq!(gone(), [true; 4]);
    }
}
