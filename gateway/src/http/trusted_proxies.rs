//! The proxies whose forwarding headers are believed.

use std::net::IpAddr;

use galley_launch::Transport;
use ipnet::IpNet;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    /// True if peers on a Unix socket are trusted.
    unix: bool,
}

impl TrustedProxies {
    /// Parses networks, addresses and the word `unix`. The error names a wrong entry.
    pub fn parse(listed: &[String]) -> Result<Self, String> {
        let mut parsed = Self::default();
        for entry in listed.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()) {
            let address = || entry.parse::<IpAddr>().ok().map(IpNet::from);
            if entry == "unix" {
                parsed.unix = true;
            } else if let Some(network) = entry.parse().ok().or_else(address) {
                parsed.networks.push(network);
            } else {
                return Err(format!(
                    "{entry:?} is neither a network such as 10.0.0.0/8, nor an address, nor `unix`"
                ));
            }
        }
        Ok(parsed)
    }

    pub fn is_peer(&self, address: IpAddr, transport: Transport) -> bool {
        match transport {
            Transport::Unix => self.unix,
            Transport::Tcp => self.contains(address),
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        // A listener for both families shows IPv4 peers as IPv6 addresses.
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use galley_launch::Transport;

    use super::TrustedProxies;

    #[test]
    fn networks_addresses_and_the_unix_socket_may_be_trusted() {
        let parse = |text: &str| {
            TrustedProxies::parse(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
        };
        let trusted = parse("10.0.0.0/8, 192.0.2.1,,2001:db8::/32").expect("networks");
        let contains = |text: &str| trusted.contains(text.parse().expect("an address"));
        assert!(contains("10.9.9.9") && contains("192.0.2.1") && contains("2001:db8::7"));
        assert!(contains("::ffff:10.9.9.9") && !contains("192.0.2.2") && !contains("::1"));
        let local = "127.0.0.1".parse().expect("an address");
        assert!(!parse("127.0.0.1").expect("an address").is_peer(local, Transport::Unix));
        assert!(parse("unix").expect("a word").is_peer(local, Transport::Unix));
        assert!(!parse("unix").expect("a word").is_peer(local, Transport::Tcp));
        for wrong in ["10.0.0.0/33", "proxy.example", "10.0.0", "*"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
