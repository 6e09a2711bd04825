//! The servers of a stage, with a proxy between each process and each of them.
//!
//! The nodes of a Redis Cluster tell their clients each other's addresses, so that no proxy of a process's own can stand
//! before them: there a node is stopped itself.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::Deployment;
use super::action::{Action, Link, Part, Server};
use super::meddler::Meddler;
use super::postgres::Postgres;
use super::redis::Redis;
use crate::Proxy;
use crate::program::Signal;
use crate::proxy::Ways;

/// Redis takes nothing in below this.
const NO_ROOM: u64 = 1;

/// The servers that gateways and workers need.
#[derive(Debug)]
pub struct Servers {
    /// The database.
    pub postgres: Postgres,
    /// The bus.
    pub redis: Redis,
    links: HashMap<Link, Proxy>,
}

impl Servers {
    /// Starts them, and the proxies for these processes. The database is in this folder.
    pub async fn start(deployment: Deployment, parts: &[Part], folder: &Path) -> Self {
        let (postgres, mut redis) = (Postgres::start(deployment, folder).await, Redis::start(deployment).await);
        let mut links = HashMap::new();
        for part in parts {
            links.insert(Link::Of(*part, Server::Postgres), Proxy::start(postgres.port()).await);
            if let Ok(master) = redis.master() {
                links.insert(Link::Of(*part, Server::Redis), Proxy::start(master.port()).await);
            }
        }
        Self { postgres, redis, links }
    }

    /// The settings with which a process finds its servers.
    #[must_use]
    pub fn variables(&self, part: Part) -> [(&'static str, String); 2] {
        let port = |server| self.links.get(&Link::Of(part, server)).map(Proxy::port);
        let postgres = port(Server::Postgres).unwrap_or_else(|| self.postgres.port());
        let redis = match (&self.redis, port(Server::Redis)) {
            (Redis::Cluster(cluster), _) => cluster.url(),
            (_, port) => format!("redis://127.0.0.1:{}", port.expect("each process has a way to Redis")),
        };
        [("DATABASE_URL", format!("postgres://postgres@127.0.0.1:{postgres}/postgres")), ("REDIS_URL", redis)]
    }

    /// Ends every fault.
    ///
    /// # Errors
    /// When a server cannot be mended.
    pub async fn mend(&mut self, meddler: &mut Meddler) -> Result<(), String> {
        for link in self.links.values().chain(self.postgres.replication()) {
            free(link);
        }
        self.redis.mend().await;
        self.postgres.start_again().await;
        meddler.return_connections().await;
        if let Some(pooler) = &mut self.postgres.pooler {
            if pooler.is_running() {
                pooler.signal(Signal::CONT);
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

    /// Does what an action does to servers.
    ///
    /// # Errors
    /// When it had no effect.
    pub async fn act(&mut self, action: Action, meddler: &mut Meddler) -> Result<(), String> {
        match action {
            Action::Kill(part) | Action::Start(part) | Action::Pause(part) | Action::Continue(part) | Action::Retire(part) => {
                self.treat(part, action).await
            }
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
                let to_redis = self.links.iter().filter(|(link, _)| matches!(link, Link::Of(_, Server::Redis)));
                for (_, proxy) in to_redis {
                    proxy.redirect(port);
                    if disconnect {
                        proxy.cut();
                    }
                }
                Ok(())
            }
            Action::FailOver(node) => self.redis.cluster()?.fail_over(node).await.map_err(|error| error.to_string()),
            Action::Reshard(shard) => {
                let tag = format!("{{{shard:02}}}");
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
                let to_postgres = links.iter().filter(|(link, _)| matches!(link, Link::Of(_, Server::Postgres)));
                self.postgres.promote(|port| to_postgres.for_each(|(_, proxy)| proxy.redirect(port))).await
            }
            Action::Cut(link) | Action::Slow(link, _) | Action::Mute(link) | Action::Stall(link) | Action::Free(link) => {
                self.disturb(link, action)
            }
            Action::FillDisk => Err("no server has to do with it".to_owned()),
        }
    }

    /// Does something to the connections of a link.
    fn disturb(&self, link: Link, action: Action) -> Result<(), String> {
        let proxy = if link == Link::Replication { self.postgres.replication() } else { self.links.get(&link) };
        let proxy = proxy.ok_or("there is no such link")?;
        match action {
            Action::Slow(_, delay) => proxy.slow(delay),
            Action::Mute(_) => proxy.stall(Ways { to_server: true, to_clients: false }),
            Action::Stall(_) => proxy.stall(Ways { to_server: true, to_clients: true }),
            Action::Free(_) => free(proxy),
            _ => proxy.cut(),
        }
        Ok(())
    }

    /// Does something to a node of the cluster, or to the pooler.
    async fn treat(&mut self, part: Part, action: Action) -> Result<(), String> {
        match (part, action) {
            (Part::Node(node), _) => {
                let node = self.redis.cluster()?.node(node);
                match action {
                    Action::Start(_) if !node.is_running() => node.restart().await,
                    Action::Pause(_) if node.is_running() => node.pause(),
                    Action::Continue(_) if node.is_running() => node.go_on(),
                    Action::Kill(_) => node.kill(),
                    _ => return Err("the node is not in a state for it".to_owned()),
                }
            }
            (Part::Pooler, _) => {
                let pooler = self.postgres.pooler.as_mut().ok_or("there is no pooler")?;
                match action {
                    Action::Start(_) if !pooler.is_running() => pooler.restart().await,
                    Action::Pause(_) if pooler.is_running() => pooler.signal(Signal::STOP),
                    Action::Continue(_) if pooler.is_running() => pooler.signal(Signal::CONT),
                    Action::Kill(_) => pooler.kill(),
                    _ => return Err("the pooler is not in a state for it".to_owned()),
                }
            }
            (Part::Gateway(_) | Part::Worker(_), _) => return Err("no server has to do with it".to_owned()),
        }
        Ok(())
    }
}

fn free(link: &Proxy) {
    link.stall(Ways::default());
    link.slow(Duration::ZERO);
}
