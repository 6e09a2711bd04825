//! The addresses on which a program listens: TCP or a Unix socket.

mod listen_address;
mod listener;
mod unix_socket;

pub use listen_address::{BadAddress, ListenAddress, ReachedAt};
pub use listener::{Accepted, ListenError, Listener, Transport};
