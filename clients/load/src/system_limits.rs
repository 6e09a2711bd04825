//! Limits of the system: open files, local ports, tracked connections.
//!
//! A test that exceeds one is refused before it begins. The error names the limit and how to raise
//! it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::load_failure::LoadFailure;

/// Open files of a process other than connections; a generous estimate.
const OTHER_FILES: u64 = 64;
/// Connections from one loopback address. Its ports would allow more, but Linux searches half of
/// its range linearly for a free port (`__inet_hash_connect`), which gets slower as that half
/// fills.
const FROM_ONE_ADDRESS: usize = 5_000;
/// Local ports assumed if the kernel's range cannot be read.
const PORTS: usize = 28_000;

/// Returns the number of processes that share these connections.
pub fn processes(connections: usize, wanted: Option<usize>) -> Result<usize, LoadFailure> {
    let files = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| LoadFailure::failed("cannot read the limit of open files", &error))?;
    let each = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(1);
    let least = connections.div_ceil(each).max(1);
    match wanted {
        Some(wanted) if wanted < least => Err(LoadFailure::Failed(format!(
            "{connections} connections need {least} processes, for a process may open {files} files: give --processes {least} or \
             more, or raise the limit (`ulimit -n`; LimitNOFILE= of a systemd unit; nofile in /etc/security/limits.conf)"
        ))),
        Some(wanted) => Ok(wanted),
        None => Ok(least),
    }
}

/// Returns the local addresses to connect from, so that each connection finds a free port. If
/// empty, the system chooses.
pub fn sources(
    connections: usize,
    gateways: &[SocketAddr],
    named: &[IpAddr],
) -> Result<Vec<IpAddr>, LoadFailure> {
    if named.is_empty() && connections <= FROM_ONE_ADDRESS {
        return Ok(Vec::new());
    }
    let loopback =
        |gateway: &SocketAddr| matches!(gateway.ip(), IpAddr::V4(address) if address.is_loopback());
    if named.is_empty() && gateways.iter().all(loopback) {
        let needed = u32::try_from(connections.div_ceil(FROM_ONE_ADDRESS)).unwrap_or(u32::MAX);
        let first = u32::from(Ipv4Addr::LOCALHOST);
        return Ok((first..first.saturating_add(needed))
            .map(|address| Ipv4Addr::from(address).into())
            .collect());
    }
    let ports = local_ports();
    let room = if named.is_empty() { ports * gateways.len() } else { ports * named.len() };
    if connections > room {
        return Err(LoadFailure::Failed(format!(
            "{connections} connections do not fit into {ports} local ports of each of {} addresses: name more addresses of this \
             machine with --source, or widen the range (`sysctl net.ipv4.ip_local_port_range='1024 65535'`)",
            named.len().max(1)
        )));
    }
    Ok(named.to_vec())
}

/// Returns a warning if the kernel tracks fewer connections than these: it may drop the others.
pub fn tracking(connections: usize) -> Option<String> {
    let most = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max")
        .ok()?
        .trim()
        .parse::<usize>()
        .ok()?;
    (connections > most).then(|| {
        format!(
            "the kernel tracks {most} connections, and may drop more: raise it with `sysctl net.netfilter.nf_conntrack_max={}`",
            connections * 2
        )
    })
}

fn local_ports() -> usize {
    let range =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().filter_map(|port| port.parse::<usize>().ok());
    ends.next().zip(ends.next()).map_or(PORTS, |(first, last)| last.saturating_sub(first) + 1)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::{processes, sources};

    #[test]
    fn too_few_processes_are_refused_with_the_limit_and_the_remedy() {
        let error =
            processes(100_000_000, Some(1)).expect_err("no process opens so many").to_string();
        assert!(error.contains("--processes") && error.contains("ulimit -n"), "{error}");
        assert_eq!(processes(10, None), Ok(1));
        assert_eq!(processes(10, Some(3)), Ok(3));
    }

    #[test]
    fn addresses_of_the_loopback_are_many_and_others_are_few() {
        let gateways = |text: &str| vec![text.parse::<SocketAddr>().expect("an address")];
        assert_eq!(sources(100, &gateways("127.0.0.1:80"), &[]), Ok(vec![]));
        let many =
            sources(1_000_000, &gateways("127.0.0.1:80"), &[]).expect("the loopback has room");
        assert_eq!((many.len(), many[199].to_string().as_str()), (200, "127.0.0.200"));
        let error = sources(1_000_000, &gateways("192.0.2.1:80"), &[])
            .expect_err("one address has 65,535 ports")
            .to_string();
        assert!(error.contains("--source") && error.contains("ip_local_port_range"), "{error}");
        let named: Vec<IpAddr> = vec!["192.0.2.7".parse().expect("an address")];
        assert_eq!(sources(100, &gateways("192.0.2.1:80"), &named), Ok(named));
    }
}
