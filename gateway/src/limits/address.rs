//! The unit of the limits per address.

use std::net::IpAddr;

/// The unit of the limits per address: an IPv4 address, or the first 64 bits of an IPv6 address,
/// because a client that has one address of such a network has them all (RFC 6177).
///
/// It is the caller's, as trusted proxies name it, or else the address of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(u64);

impl From<IpAddr> for Address {
    /// The two kinds cannot collide. IPv6 addresses that begin with 32 zero bits are not assigned
    /// to anyone, except those that stand for an IPv4 address.
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits())),
            IpAddr::V6(address) => {
                Self(u64::try_from(address.to_bits() >> 64).expect("64 bits are left"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Address;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().expect("an address"))
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        assert_eq!(address("2001:db8:0:1::1"), address("2001:db8:0:1:ffff::2"));
        assert_ne!(address("2001:db8:0:1::1"), address("2001:db8:0:2::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address("192.0.2.1"), address("::ffff:192.0.2.1"));
    }
}
