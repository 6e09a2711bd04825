//! Host names in settings, and the text of network errors.

use std::io;
use std::net::Ipv4Addr;

/// The greatest length of a host name and of one part between dots (RFC 1035 section 2.3.4).
const MAX_NAME: (usize, usize) = (253, 63);

/// Returns true for a well-formed host: a name or address (IPv6 without brackets), no lookup.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let numbers = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if text.contains(':') {
        // The zone of a link-local address follows the `%`.
        let address = text.split('%').next().unwrap_or_default();
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    if numbers {
        // Digits and dots make an address, never a name: `127.0.0.256` is a mistake.
        return text.parse::<Ipv4Addr>().is_ok();
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let part = |part: &str| {
        (1..=MAX_NAME.1).contains(&part.len())
            && part.bytes().all(letter)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    name.len() <= MAX_NAME.0 && name.split('.').all(part)
}

/// Returns the text of a system error without its number: `connection refused`.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::{is_host, reason};

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for host in [
            "localhost",
            "db.example.org",
            "db.example.org.",
            "my_database",
            "10.0.0.7",
            "::1",
            "fe80::1%eth0",
            "a",
            "1a",
        ] {
            assert!(is_host(host), "{host}");
        }
        let (long_part, long) = ("x".repeat(64), "x.".repeat(128));
        for wrong in [
            "",
            ".",
            "a..b",
            "-a",
            "a-",
            "a b",
            "a!b",
            "127.0.0.256",
            "1.2.3",
            "::g",
            "a:b",
            &long_part,
            &long,
        ] {
            assert!(!is_host(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_system_speaks_plainly() {
        assert_eq!(reason(&Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(reason(&Error::other("Of our own")), "of our own");
    }
}
