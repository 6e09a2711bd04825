//! The servers of a stage, with a proxy between each process and each of them.
//!
//! The nodes of a Redis Cluster send clients to each other's addresses, so that a proxy per process
//! is impossible there. Instead the nodes themselves are paused.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::FaultDeployment;
use super::action::{Action, Backend, Component, ServerLink};
use super::faulty_postgres::FaultyPostgres;
use super::faulty_redis::FaultyRedis;
use super::meddler::Meddler;
use crate::program::Signal;
use crate::proxy::Ways;
use crate::redis_cluster::CLUSTER_TAGS;
use crate::{Pooler, Proxy};

/// A memory bound at which Redis accepts no data, in bytes.
const NO_ROOM: u64 = 1;

/// The servers that gateways and workers need.
#[derive(Debug)]
pub struct Servers {
    /// The database.
    pub postgres: FaultyPostgres,
    /// The bus.
    pub redis: FaultyRedis,
    links: HashMap<ServerLink, Proxy>,
}

impl Servers {
    /// Starts the servers, and the proxies for these processes. The database is in this folder.
    pub async fn start(deployment: FaultDeployment, parts: &[Component], folder: &Path) -> Self {
        let (postgres, mut redis) =
            (FaultyPostgres::start(deployment, folder).await, FaultyRedis::start(deployment).await);
        let mut links = HashMap::new();
        for part in parts {
            links.insert(
                ServerLink::Of(*part, Backend::Postgres),
                Proxy::start(postgres.port()).await,
            );
            if let Ok(master) = redis.master() {
                links
                    .insert(ServerLink::Of(*part, Backend::Redis), Proxy::start(master.port).await);
            }
        }
        Self { postgres, redis, links }
    }

    /// The settings that lead a process to its servers.
    #[must_use]
    pub fn variables(&self, part: Component) -> [(&'static str, String); 2] {
        let proxy = |server| self.links.get(&ServerLink::Of(part, server)).map(Proxy::port);
        let postgres = proxy(Backend::Postgres).unwrap_or_else(|| self.postgres.port());
        let redis = match &self.redis {
            FaultyRedis::Cluster(cluster) => cluster.url(),
            FaultyRedis::One(_) | FaultyRedis::Pair(_) => {
                format!(
                    "redis://127.0.0.1:{}",
                    proxy(Backend::Redis).expect("each process has a way to Redis")
                )
            }
        };
        [
            ("DATABASE_URL", format!("postgres://postgres@127.0.0.1:{postgres}/postgres")),
            ("REDIS_URL", redis),
        ]
    }

    /// Ends every fault.
    ///
    /// # Errors
    /// If a server cannot be restored.
    pub async fn mend(&mut self, meddler: &mut Meddler) -> Result<(), String> {
        for link in self.links.values().chain(self.postgres.replication()) {
            free(link);
        }
        self.redis.mend().await;
        self.postgres.start_again().await;
        meddler.return_connections().await;
        if let Some(pooler) = &mut self.postgres.pooler {
            if pooler.program.is_running() {
                pooler.program.signal(Signal::CONT);
            } else {
                pooler.restart().await;
            }
        }
        if let Ok(master) = self.redis.master() {
            meddler.bound_redis(&master.url(), 0).await?;
        }
        meddler.allow_writing(true).await?;
        meddler.unlock().await
    }

    /// Applies an action to the servers.
    ///
    /// # Errors
    /// If the action had no effect.
    pub async fn act(&mut self, action: Action, meddler: &mut Meddler) -> Result<(), String> {
        match action {
            Action::Kill(part) => self.kill(part),
            Action::Start(part) => self.start_again(part).await,
            Action::Pause(part) => self.signal(part, Signal::STOP),
            Action::Continue(part) => self.signal(part, Signal::CONT),
            Action::KillRedis => self.redis.master().map(crate::RedisServer::kill),
            Action::StartRedis => {
                self.redis.master()?.restart().await;
                Ok(())
            }
            Action::FillRedis => meddler.bound_redis(&self.redis.master()?.url(), NO_ROOM).await,
            Action::EmptyRedis => meddler.bound_redis(&self.redis.master()?.url(), 0).await,
            Action::Meddle(mischief) => meddler.meddle(&self.redis.master()?.url(), mischief).await,
            Action::MeddleWith(node, mischief) => {
                let url = self.redis.cluster()?.node(node).url();
                meddler.meddle(&url, mischief).await
            }
            Action::DemoteRedis { disconnect } => {
                let port = self.redis.demote().await?;
                let to_redis = self
                    .links
                    .iter()
                    .filter(|(link, _)| matches!(link, ServerLink::Of(_, Backend::Redis)));
                for (_, proxy) in to_redis {
                    proxy.redirect(port);
                    if disconnect {
                        proxy.cut();
                    }
                }
                Ok(())
            }
            Action::FailOver(node) => {
                self.redis.cluster()?.fail_over(node).await.map_err(|error| error.to_string())
            }
            Action::Reshard(shard) => {
                let tag = format!("{{{}}}", CLUSTER_TAGS[usize::from(shard) % CLUSTER_TAGS.len()]);
                self.redis.cluster()?.reshard(&tag).await.map_err(|error| error.to_string())
            }
            Action::CrashPostgres => {
                self.postgres.crash();
                Ok(())
            }
            Action::StartPostgres | Action::EmptyDisk => {
                self.postgres.start_again().await;
                Ok(())
            }
            Action::Obstruct(obstacle) => meddler.obstruct(obstacle).await,
            Action::ForbidWriting => meddler.allow_writing(false).await,
            Action::AllowWriting => meddler.allow_writing(true).await,
            Action::TakeConnections => meddler.take_connections().await,
            Action::ReturnConnections => {
                meddler.return_connections().await;
                Ok(())
            }
            Action::Promote => {
                let links = &self.links;
                let to_postgres = links
                    .iter()
                    .filter(|(link, _)| matches!(link, ServerLink::Of(_, Backend::Postgres)));
                self.postgres
                    .promote(|port| to_postgres.for_each(|(_, proxy)| proxy.redirect(port)))
                    .await
            }
            Action::Cut(link) => self.disturb(link, Proxy::cut),
            Action::Slow(link, delay) => self.disturb(link, |proxy| proxy.slow(delay)),
            Action::Mute(link) => {
                self.disturb(link, |proxy| proxy.stall(Ways { to_server: true, to_clients: false }))
            }
            Action::Stall(link) => {
                self.disturb(link, |proxy| proxy.stall(Ways { to_server: true, to_clients: true }))
            }
            Action::Free(link) => self.disturb(link, free),
            Action::Retire(_) | Action::FillDisk => Err("no server has to do with it".to_owned()),
        }
    }

    /// Applies a disturbance to the connections of a link.
    fn disturb(&self, link: ServerLink, how: impl FnOnce(&Proxy)) -> Result<(), String> {
        let proxy = if link == ServerLink::Replication {
            self.postgres.replication()
        } else {
            self.links.get(&link)
        };
        proxy.map(how).ok_or_else(|| "there is no such link".to_owned())
    }

    fn pooler(&mut self) -> Result<&mut Pooler, String> {
        self.postgres.pooler.as_mut().ok_or_else(|| "there is no pooler".to_owned())
    }

    /// Sends a signal to a node of the cluster or to the pooler.
    fn signal(&mut self, part: Component, signal: Signal) -> Result<(), String> {
        match part {
            Component::Node(node) => self.redis.cluster()?.node(node).program.signal(signal),
            Component::Pooler => self.pooler()?.program.signal(signal),
            Component::Gateway(_) | Component::Worker(_) => {
                return Err("it is no server".to_owned());
            }
        }
        Ok(())
    }

    fn kill(&mut self, part: Component) -> Result<(), String> {
        match part {
            Component::Node(node) => self.redis.cluster()?.node(node).kill(),
            Component::Pooler => self.pooler()?.program.kill(),
            Component::Gateway(_) | Component::Worker(_) => {
                return Err("it is no server".to_owned());
            }
        }
        Ok(())
    }

    async fn start_again(&mut self, part: Component) -> Result<(), String> {
        match part {
            Component::Node(node) => self.redis.cluster()?.node(node).restart().await,
            Component::Pooler => self.pooler()?.restart().await,
            Component::Gateway(_) | Component::Worker(_) => {
                return Err("it is no server".to_owned());
            }
        }
        Ok(())
    }
}

fn free(link: &Proxy) {
    link.stall(Ways::default());
    link.slow(Duration::ZERO);
}
