//! A private Redis behind Sentinels for a test that kills its master.

use crate::patience::until;
use crate::{RedisServer, port};

/// The name of the service.
const SERVICE: &str = "main";

/// A master, its replica, and three Sentinels of which one is dead; killed when dropped.
#[derive(Debug)]
pub struct RedisSentinels {
    /// The first master.
    pub master: RedisServer,
    /// Its replica, which becomes the master after it.
    pub replica: RedisServer,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinels {
    /// Starts all, and kills one Sentinel once they know each other.
    pub async fn start() -> Self {
        let master = RedisServer::start().await;
        let port = master.port.to_string();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]).await;
        until("a replica", async || {
            let info: String = replica.try_ask(&["INFO", "replication"]).await.ok()?;
            info.contains("master_link_status:up").then_some(())
        })
        .await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(RedisServer::sentinel(SERVICE, master.port).await);
        }
        for sentinel in &sentinels {
            until("the other Sentinels", async || {
                let info: String = sentinel.try_ask(&["INFO", "sentinel"]).await.ok()?;
                info.contains("slaves=1,sentinels=3").then_some(())
            })
            .await;
        }
        sentinels[0].kill();
        Self { master, replica, sentinels }
    }

    /// The URL of the service; the first address is nobody's, the second the dead Sentinel's.
    #[must_use]
    pub fn url(&self) -> String {
        let ports = self.sentinels.iter().map(|sentinel| sentinel.port);
        let hosts: Vec<String> = [port::free()]
            .into_iter()
            .chain(ports)
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        format!("redis+sentinel://{}/{SERVICE}", hosts.join(","))
    }
}
