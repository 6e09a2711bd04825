//! The unit of the limits per caller.

use galley_protocol::HeroId;

use super::Address;

/// The unit of the limits per caller: whoever its token names. Without authentication it is the
/// hero of a socket, or else the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallerKey {
    Hero(HeroId),
    /// Staff, by a hash of the subject of its token.
    Staff(u64),
    Address(Address),
}
