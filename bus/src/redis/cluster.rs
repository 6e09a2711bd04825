//! The nodes of a Redis Cluster, and which of them holds a slot.
//!
//! Every connection leads to one node: the master of its shard's slot at the moment of connecting.
//! A silent node affects only its own shards. The nodes of the URL and those of the last answer are
//! asked for the slots at the same time, and the first answer counts.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value};
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use super::dial::Dialer;
use super::redis_failure::is_refusal;
use super::sentinels::moved;

/// Time for which an answer is used again: the shards often connect at the same time.
const FRESH: Duration = Duration::from_millis(100);

/// The most nodes that are asked at once; the others are left out.
const MOST_ASKED: usize = 64;

/// The longest wait for the answer of a node.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Cluster {
    /// The nodes of the URL, at least one. User, password and TLS of the first apply to every node
    /// that an answer names.
    seeds: Vec<ConnectionInfo>,
    /// The last answer and its moment.
    last: Mutex<Option<(Instant, Slots)>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slots {
    /// The first slot, the last slot, and their master.
    ranges: Vec<(u16, u16, NodeAddress)>,
    /// Masters and replicas.
    nodes: Vec<NodeAddress>,
}

type NodeAddress = (String, u16);

impl Cluster {
    pub(super) fn new(seeds: Vec<ConnectionInfo>) -> Self {
        Self { seeds, last: Mutex::default() }
    }

    pub(super) async fn holder(&self, dialer: &Dialer, slot: u16) -> RedisResult<ConnectionInfo> {
        // Held while nodes are asked: other callers wait and then use the same answer.
        let mut last = self.last.lock().await;
        let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
        if let Some(place) = fresh.and_then(|(_, slots)| slots.holder(slot)) {
            return Ok(self.node(place));
        }
        let slots = self.ask(dialer, last.as_ref().map(|(_, slots)| slots)).await?;
        let holder = slots.holder(slot).map(|place| self.node(place));
        *last = Some((Instant::now(), slots));
        holder.ok_or_else(|| (ErrorKind::Io, "no node of the cluster holds this slot").into())
    }

    /// Returns the first answer. If there is none, an error that waiting does not cure takes
    /// precedence.
    async fn ask(&self, dialer: &Dialer, last: Option<&Slots>) -> RedisResult<Slots> {
        let known = last.map(|slots| slots.nodes.as_slice()).unwrap_or_default();
        let known = known.iter().map(|place| self.node(place));
        let asked = self.seeds.iter().cloned().chain(known).take(MOST_ASKED);
        let mut answers: FuturesUnordered<_> = asked.map(|node| slots_of(dialer, node)).collect();
        let mut failure: Option<RedisError> = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(slots) if !slots.ranges.is_empty() => return Ok(slots),
                // Without slots, another node may know more.
                Ok(_) => {}
                Err(error) => failure = failure.filter(is_refusal).or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| {
            (ErrorKind::Io, "the cluster has given no slots to its nodes").into()
        }))
    }

    fn node(&self, (host, port): &NodeAddress) -> ConnectionInfo {
        let first = &self.seeds[0];
        first.clone().set_addr(moved(first.addr(), host.clone(), *port))
    }
}

impl Slots {
    fn holder(&self, slot: u16) -> Option<&NodeAddress> {
        self.ranges
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&slot))
            .map(|(_, _, place)| place)
    }

    /// Reads the answer of CLUSTER SLOTS. The host of a node that does not know its own is `asked`,
    /// the host that answered.
    fn read(answer: &Value, asked: &str) -> Option<Self> {
        let mut slots = Self::default();
        for range in answer.as_sequence()? {
            let [Value::Int(first), Value::Int(last), nodes @ ..] = range.as_sequence()? else {
                return None;
            };
            let nodes = nodes
                .iter()
                .map(|node| place(node, asked))
                .collect::<Option<Vec<NodeAddress>>>()?;
            // The first node of a range is the master.
            slots.ranges.push((
                u16::try_from(*first).ok()?,
                u16::try_from(*last).ok()?,
                nodes.first()?.clone(),
            ));
            slots.nodes.extend(nodes);
        }
        slots.nodes.sort_unstable();
        slots.nodes.dedup();
        Some(slots)
    }
}

fn place(node: &Value, asked: &str) -> Option<NodeAddress> {
    let [host, Value::Int(port), ..] = node.as_sequence()? else { return None };
    let host =
        if let Value::BulkString(host) = host { std::str::from_utf8(host).ok() } else { None };
    let host = host.filter(|host| !host.is_empty() && *host != "?");
    Some((host.unwrap_or(asked).to_owned(), u16::try_from(*port).ok()?))
}

async fn slots_of(dialer: &Dialer, node: ConnectionInfo) -> RedisResult<Slots> {
    let (ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) = node.addr() else {
        return Err((
            ErrorKind::InvalidClientConfig,
            "a node of a cluster is not a socket of this machine",
        )
            .into());
    };
    let host = host.clone();
    let mut connection = dialer.connect(&node, PATIENCE).await?;
    let answer: Value = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
    let strange =
        || RedisError::from((ErrorKind::UnexpectedReturnType, "not an answer of a cluster"));
    Slots::read(&answer, &host).ok_or_else(strange)
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::Slots;

    #[test]
    fn the_first_node_of_a_range_holds_it_and_all_are_known() {
        let node = |host: Value, port| {
            Value::Array(vec![host, Value::Int(port), Value::SimpleString("id".to_owned())])
        };
        let named = |host: &str| Value::BulkString(host.as_bytes().to_vec());
        let range = |first, last, nodes: Vec<Value>| {
            Value::Array([Value::Int(first), Value::Int(last)].into_iter().chain(nodes).collect())
        };
        let answer = Value::Array(vec![
            range(0, 8191, vec![node(named("a"), 1), node(named("b"), 2)]),
            range(8192, 16383, vec![node(Value::Nil, 3), node(named("a"), 1)]),
        ]);
        let slots = Slots::read(&answer, "asked").expect("an answer");
        let place = |host: &str, port| (host.to_owned(), port);
        assert_eq!(slots.holder(8191), Some(&place("a", 1)));
        assert_eq!(slots.holder(8192), Some(&place("asked", 3)));
        assert_eq!(slots.nodes, [place("a", 1), place("asked", 3), place("b", 2)]);
        for strange in [
            Value::Int(1),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 70_000, vec![])]),
        ] {
            assert_eq!(Slots::read(&strange, "asked"), None);
        }
    }
}
