//! The findings of `galley doctor` about a Redis server.

use std::time::Instant;

use galley_protocol::finding::Finding;
use redis::{InfoDict, pipe};

use super::RedisBus;
use crate::BusError;

/// The oldest version that Galley is tested with.
const OLDEST: u32 = 7;

impl RedisBus {
    /// Looks at the server of each shard; one that several shards share is looked at once.
    pub(super) async fn inspect(&self) -> Result<Vec<Finding>, BusError> {
        let mut findings = Vec::new();
        for shard in self.names.shards() {
            for finding in self.inspect_shard(shard).await? {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        Ok(findings)
    }

    async fn inspect_shard(&self, shard: u16) -> Result<Vec<Finding>, BusError> {
        let asked = Instant::now();
        let mut ask = pipe();
        ask.cmd("TIME").cmd("INFO");
        let link = self.publisher.link(shard);
        let (clock, info): ((f64, f64), InfoDict) = match link.query(&ask).await {
            Err(BusError::Refused(reason)) => {
                return Ok(vec![Finding::new(
                    "Redis",
                    format!("cannot be looked at: {reason}"),
                    false,
                    "for this check alone, allow the user INFO and TIME",
                )]);
            }
            answers => answers?,
        };
        let clock = Finding::of_server_clock("Redis clock", clock.0 + clock.1 / 1e6, asked);
        let text = |key| info.get::<String>(key).unwrap_or_default();
        let version = text("redis_version");
        let major = version.split('.').next().and_then(|major| major.parse().ok());
        let policy = text("maxmemory_policy");
        let is_saved = text("aof_enabled") == "1";
        Ok(vec![
            Finding::new(
                "Redis version",
                version,
                major.is_some_and(|major: u32| major >= OLDEST),
                "use Redis 7 or newer, or Valkey",
            ),
            clock,
            Finding::new(
                "Redis role",
                text("role"),
                text("role") == "master",
                "name the master, its Sentinels or its cluster: a replica takes no orders",
            ),
            Finding::new(
                "Redis maxmemory-policy",
                policy.clone(),
                policy == "noeviction",
                "set it to noeviction: Redis may otherwise drop the dispatch queue",
            ),
            Finding::new(
                "Redis persistence",
                if is_saved { "appendonly is on" } else { "appendonly is off" },
                is_saved,
                "set appendonly to yes: after a restart orders otherwise wait until the database is searched for them",
            ),
        ])
    }
}
