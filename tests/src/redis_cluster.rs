//! A private Redis Cluster for a test that breaks it: three masters, and a replica of each.

use std::collections::HashMap;

use redis::{RedisError, RedisResult};

use crate::patience::until;
use crate::port;
use crate::redis_server;
use crate::{RedisServer, TestAuthority};

/// The hash tags of Galley's shards in a cluster; `bus/src/redis/redis_names.rs` chooses them.
pub const CLUSTER_TAGS: [&str; 16] = [
    "18", "36", "83", "58", "19", "20", "95", "59", "09", "34", "81", "49", "08", "22", "97", "48",
];

/// The masters; they are the first nodes, and their replicas follow in the same order.
pub const MASTERS: usize = 3;
const NODES: usize = 2 * MASTERS;
/// The slots of each master.
const SLOTS: [[&str; 2]; MASTERS] = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];
/// The milliseconds after which the other nodes take a silent one for dead.
const NODE_TIMEOUT: &str = "2000";
/// The keys of a slot that move at once, and the time-out of that in milliseconds.
const KEYS_AT_ONCE: &str = "100";
const MOVE_TIMEOUT: &str = "1000";

/// Six nodes; killed when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    /// The ports of the nodes for TLS; empty without TLS.
    tls_ports: Vec<u16>,
}

/// A node as it sees itself.
struct Member {
    at: usize,
    id: String,
    is_master: bool,
    /// The master of a replica.
    follows: String,
}

impl RedisCluster {
    /// Starts the nodes, and waits until they have found each other.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Like [`RedisCluster::start`]. The nodes speak TLS with clients and with each other. Their
    /// certificate has the address that they announce, and `localhost`.
    pub async fn with_tls(authority: &TestAuthority) -> Self {
        Self::start_with(Some(authority)).await
    }

    async fn start_with(authority: Option<&TestAuthority>) -> Self {
        let mut cluster = Self { nodes: Vec::new(), tls_ports: Vec::new() };
        let mut buses = Vec::new();
        for _ in 0..NODES {
            let bus = port::free().to_string();
            let options = "--cluster-enabled yes --cluster-announce-ip 127.0.0.1 --cluster-port";
            let timing =
                ["--cluster-node-timeout", NODE_TIMEOUT, "--cluster-replica-validity-factor", "0"];
            let mut options: Vec<String> =
                options.split(' ').chain([&*bus]).chain(timing).map(str::to_owned).collect();
            if let Some(authority) = authority {
                let port = port::free();
                let hosts = ["localhost", "127.0.0.1"];
                options.extend(redis_server::tls_options(authority, &hosts, port, "no"));
                options.extend(node_tls(authority));
                cluster.tls_ports.push(port);
            }
            cluster.nodes.push(RedisServer::start_with(&options).await);
            buses.push(bus);
        }
        cluster.form(&buses).await;
        cluster
    }

    async fn form(&self, buses: &[String]) {
        for (at, node) in self.nodes.iter().enumerate() {
            node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]).await;
            if let Some([first, last]) = SLOTS.get(at) {
                node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
            }
            // Nodes that speak TLS with each other know each other by these ports.
            let port = self.tls_ports.get(at).unwrap_or(&node.port).to_string();
            self.nodes[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &buses[at]]).await;
        }
        for (at, node) in self.nodes.iter().enumerate().skip(MASTERS) {
            let master: String = self.nodes[at - MASTERS].ask(&["CLUSTER", "MYID"]).await;
            // The replica must know its master first.
            let follow = ["CLUSTER", "REPLICATE", &master];
            until("a replica", async || node.try_ask::<()>(&follow).await.ok()).await;
        }
        for (at, node) in self.nodes.iter().enumerate() {
            until("a Redis Cluster", async || {
                let cluster: String = node.try_ask(&["CLUSTER", "INFO"]).await.ok()?;
                let nodes: String = node.try_ask(&["CLUSTER", "NODES"]).await.ok()?;
                let replication: String = node.try_ask(&["INFO", "replication"]).await.ok()?;
                let is_whole = cluster.contains("cluster_state:ok")
                    && nodes.matches("slave ").count() == MASTERS;
                let follows = at < MASTERS || replication.contains("master_link_status:up");
                (is_whole && follows && nodes.lines().count() == NODES).then_some(())
            })
            .await;
        }
    }

    /// The URLs of all nodes, as `REDIS_URL` takes them.
    #[must_use]
    pub fn url(&self) -> String {
        self.nodes.iter().map(RedisServer::url).collect::<Vec<_>>().join(",")
    }

    /// The URL of one node with TLS, by a name, as that of a configuration address.
    #[must_use]
    pub fn tls_url(&self, at: usize) -> String {
        format!("rediss://localhost:{}", self.tls_ports[at])
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// One node.
    pub fn node(&mut self, at: usize) -> &mut RedisServer {
        &mut self.nodes[at]
    }

    /// Restores every node to running.
    pub async fn mend(&mut self) {
        for node in &mut self.nodes {
            if node.program.is_running() {
                node.go_on();
            } else {
                node.restart().await;
            }
        }
    }

    /// Promotes this node if it is a replica, otherwise one of its replicas.
    ///
    /// # Errors
    /// If there is no replica, or it is not ready.
    pub async fn fail_over(&self, at: usize) -> RedisResult<()> {
        let members = self.members().await;
        let own = members
            .iter()
            .find(|member| member.at == at)
            .ok_or_else(|| refusal("the node is away"))?;
        let replica = if own.is_master {
            members.iter().find(|member| member.follows == own.id)
        } else {
            Some(own)
        };
        let replica = replica.ok_or_else(|| refusal("the node has no replica"))?;
        self.nodes[replica.at].try_ask(&["CLUSTER", "FAILOVER"]).await
    }

    /// Moves the slot of this hash tag, with its keys, to another master.
    ///
    /// # Errors
    /// If a master is unreachable.
    pub async fn reshard(&self, tag: &str) -> RedisResult<()> {
        let members = self.members().await;
        let masters: Vec<&Member> = members.iter().filter(|member| member.is_master).collect();
        let first = masters.first().ok_or_else(|| refusal("there is no master"))?;
        let slot: u16 = self.nodes[first.at].try_ask(&["CLUSTER", "KEYSLOT", tag]).await?;
        let owner = self.owner_of(slot, first.at).await?;
        let from = masters
            .iter()
            .find(|member| member.id == owner)
            .ok_or_else(|| refusal("its master is away"))?;
        let to = masters
            .iter()
            .find(|member| member.id != owner)
            .ok_or_else(|| refusal("there is one master"))?;
        let slot = slot.to_string();
        let ask = async |at: usize, words: &[&str]| self.nodes[at].try_ask::<()>(words).await;
        ask(to.at, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from.id]).await?;
        ask(from.at, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to.id]).await?;
        let port = self.nodes[to.at].port.to_string();
        loop {
            let keys: Vec<String> = self.nodes[from.at]
                .try_ask(&["CLUSTER", "GETKEYSINSLOT", &slot, KEYS_AT_ONCE])
                .await?;
            if keys.is_empty() {
                break;
            }
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", MOVE_TIMEOUT, "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            ask(from.at, &words).await?;
        }
        // The new owner learns of it first, because the old one redirects clients to it.
        ask(to.at, &["CLUSTER", "SETSLOT", &slot, "NODE", &to.id]).await?;
        ask(from.at, &["CLUSTER", "SETSLOT", &slot, "NODE", &to.id]).await
    }

    /// The nodes that answer.
    async fn members(&self) -> Vec<Member> {
        let mut members = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Ok(nodes) = node.try_ask::<String>(&["CLUSTER", "NODES"]).await else { continue };
            let Some(own) = nodes.lines().find(|line| line.contains("myself")) else { continue };
            let words: Vec<&str> = own.split(' ').collect();
            if let [id, _, flags, follows, ..] = words[..] {
                let is_master = flags.contains("master");
                members.push(Member {
                    at,
                    id: id.to_owned(),
                    is_master,
                    follows: follows.to_owned(),
                });
            }
        }
        members
    }

    /// The id of the master of a slot, as this node sees it.
    async fn owner_of(&self, slot: u16, at: usize) -> RedisResult<String> {
        let nodes: String = self.nodes[at].try_ask(&["CLUSTER", "NODES"]).await?;
        let owners: HashMap<u16, &str> =
            nodes.lines().flat_map(slots).filter(|(of, _)| *of == slot).collect();
        owners.get(&slot).map(|id| (*id).to_owned()).ok_or_else(|| refusal("nobody has the slot"))
    }
}

/// The options of nodes that also speak TLS with each other.
fn node_tls(authority: &TestAuthority) -> Vec<String> {
    let own = authority.client("node");
    let [certificate, key] = [own.certificate, own.key].map(|path| path.display().to_string());
    let files = ["--tls-client-cert-file", &certificate, "--tls-client-key-file", &key];
    let modes = ["--tls-cluster", "yes", "--tls-replication", "yes"];
    files.into_iter().chain(modes).map(str::to_owned).collect()
}

/// The slots of one line of `CLUSTER NODES`, each with the id of its node.
fn slots(line: &str) -> impl Iterator<Item = (u16, &str)> {
    let id = line.split(' ').next().unwrap_or_default();
    let ranges = line.split(' ').skip(8).filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().map(move |slot| (slot, id))
}

fn refusal(why: &'static str) -> RedisError {
    RedisError::from((redis::ErrorKind::Client, why))
}
