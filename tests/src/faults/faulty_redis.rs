//! The Redis of a deployment: alone, with a replica that replaces it, or as a cluster.

use super::FaultDeployment;
use crate::{RedisCluster, RedisServer};

/// The Redis of a stage.
#[derive(Debug)]
pub enum FaultyRedis {
    /// One server.
    One(Box<RedisServer>),
    /// Two behind one name: the first is the master, the other its replica.
    Pair(Box<[RedisServer; 2]>),
    /// Six nodes.
    Cluster(RedisCluster),
}

impl FaultyRedis {
    /// Starts the servers.
    pub async fn start(deployment: FaultDeployment) -> Self {
        match deployment {
            FaultDeployment::Cluster => Self::Cluster(RedisCluster::start().await),
            FaultDeployment::Demoted => {
                let pair = [RedisServer::start().await, RedisServer::start().await];
                follow(&pair[1], &pair[0]).await.expect("both run");
                Self::Pair(Box::new(pair))
            }
            FaultDeployment::Embedded
            | FaultDeployment::Distributed
            | FaultDeployment::Standby
            | FaultDeployment::Pooled => Self::One(Box::new(RedisServer::start().await)),
        }
    }

    /// The server that takes commands.
    ///
    /// # Errors
    /// If it is a cluster, which has several.
    pub fn master(&mut self) -> Result<&mut RedisServer, String> {
        match self {
            Self::One(server) => Ok(server),
            Self::Pair(pair) => Ok(&mut pair[0]),
            Self::Cluster(_) => Err("a cluster has several masters".to_owned()),
        }
    }

    /// The cluster.
    ///
    /// # Errors
    /// If there is no cluster.
    pub fn cluster(&mut self) -> Result<&mut RedisCluster, String> {
        match self {
            Self::Cluster(cluster) => Ok(cluster),
            Self::One(_) | Self::Pair(_) => Err("there is no Redis Cluster".to_owned()),
        }
    }

    /// Swaps the roles of master and replica. Connections stay at their servers. Returns the port
    /// of the new master.
    ///
    /// # Errors
    /// If either server is unreachable, or there is no replica.
    pub async fn demote(&mut self) -> Result<u16, String> {
        let Self::Pair(pair) = self else { return Err("there is no replica".to_owned()) };
        let promoted = pair[1].try_ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        promoted.map_err(|error| error.to_string())?;
        pair.swap(0, 1);
        follow(&pair[1], &pair[0]).await.map_err(|error| error.to_string())?;
        Ok(pair[0].port)
    }

    /// Restores every server to running.
    pub async fn mend(&mut self) {
        match self {
            Self::Cluster(cluster) => cluster.mend().await,
            Self::One(_) | Self::Pair(_) => {
                if let Ok(master) = self.master()
                    && !master.program.is_running()
                {
                    master.restart().await;
                }
            }
        }
    }
}

async fn follow(replica: &RedisServer, master: &RedisServer) -> redis::RedisResult<()> {
    replica.try_ask(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]).await
}
