//! What is done to Redis and `PostgreSQL` from within, while they run.
//!
//! Called by the breaker. A server that is away at the moment is left alone: the error says that the fault had no effect.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redis::aio::MultiplexedConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::action::{Mischief, Obstacle};

/// Where the service keeps its things in Redis.
const STREAM: &str = "galley:v1:orders:{00}";
const GROUP: &str = "workers";
const CHANNELS: [&str; 1] = ["galley:v1:updates:{00}"];
const FIELD: &str = "o";
/// How long a server may take to do it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How the connections of the locks are named.
const NAME: &str = "galley-faults";
/// About as many orders as a round has: entries of old orders name some of them.
const OLD_ORDERS: i64 = 2_000;

/// Meddles with both servers.
#[derive(Debug)]
pub struct Meddler {
    redis: redis::Client,
    postgres: String,
    random: StdRng,
    locks: JoinSet<()>,
}

impl Meddler {
    /// With the servers at these URLs.
    #[must_use]
    pub fn new(redis: &str, postgres: &str, seed: u64) -> Self {
        let redis = redis::Client::open(redis).expect("a URL");
        Self { redis, postgres: postgres.to_owned(), random: StdRng::seed_from_u64(seed), locks: JoinSet::new() }
    }

    /// Meddles with the data in Redis.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn meddle(&mut self, mischief: Mischief) -> Result<(), String> {
        match mischief {
            Mischief::Flush => self.redis(&[&["FLUSHALL"]]).await,
            Mischief::DestroyGroup => self.redis(&[&["XGROUP", "DESTROY", STREAM, GROUP]]).await,
            Mischief::DeleteStream => self.redis(&[&["DEL", STREAM]]).await,
            Mischief::KillSubscribers => self.redis(&[&["CLIENT", "KILL", "TYPE", "pubsub"]]).await,
            Mischief::KillClients => self.redis(&[&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]]).await,
            Mischief::Hold(time) => self.redis(&[&["CLIENT", "PAUSE", &time.as_millis().to_string(), "ALL"]]).await,
            Mischief::StrangeEntries => {
                let entry = |field, value| ["XADD", STREAM, "*", field, value];
                let strange = [
                    entry(FIELD, "not a number"),
                    entry(FIELD, "-1"),
                    entry(FIELD, "0"),
                    entry(FIELD, "9007199254740991"),
                    entry(FIELD, "99999999999999999999"),
                    entry("", "\u{0}\u{fffd}"),
                    entry("another", "1"),
                ];
                self.redis(&strange.each_ref().map(|words| &words[..])).await
            }
            Mischief::OldEntries => {
                let orders: Vec<String> = (0..20).map(|_| self.random.random_range(1..=OLD_ORDERS).to_string()).collect();
                let entries: Vec<[&str; 5]> = orders.iter().map(|order| ["XADD", STREAM, "*", FIELD, order]).collect();
                let twice: Vec<&[&str]> = entries.iter().chain(&entries).map(|words| &words[..]).collect();
                self.redis(&twice).await
            }
            Mischief::StrangeMessages => {
                let strange = ["", "galley2", "galley2 1 1\n1 2 3\n", "galley2 7 18446744073709551615\n", "\u{0}\n\n{}"];
                let messages: Vec<[&str; 3]> =
                    CHANNELS.iter().flat_map(|channel| strange.map(|text| ["PUBLISH", channel, text])).collect();
                self.redis(&messages.iter().map(|words| &words[..]).collect::<Vec<_>>()).await
            }
        }
    }

    /// Lets Redis take no more in, or again as much as comes.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn bound_redis(&self, bytes: u64) -> Result<(), String> {
        self.redis(&[&["CONFIG", "SET", "maxmemory", &bytes.to_string()]]).await
    }

    /// Obstructs `PostgreSQL`.
    ///
    /// # Errors
    /// When `PostgreSQL` is away.
    pub async fn obstruct(&mut self, obstacle: Obstacle) -> Result<(), String> {
        let galley = "pg_stat_activity where application_name = 'galley'";
        match obstacle {
            Obstacle::EndAll => self.sql(&format!("select pg_terminate_backend(pid) from {galley}")).await,
            Obstacle::EndLiveness => {
                let holders = "and pid in (select pid from pg_locks where locktype = 'advisory')";
                self.sql(&format!("select pg_terminate_backend(pid) from {galley} {holders}")).await
            }
            Obstacle::LockTable(time) => {
                self.lock("lock table orders in access exclusive mode", time);
                Ok(())
            }
            Obstacle::LockRows(time) => {
                self.lock("select from orders where status in (0, 1) for update", time);
                Ok(())
            }
        }
    }

    /// Gives every lock back.
    ///
    /// # Errors
    /// When `PostgreSQL` is away.
    pub async fn unlock(&mut self) -> Result<(), String> {
        self.locks.abort_all();
        self.sql(&format!("select pg_terminate_backend(pid) from pg_stat_activity where application_name = '{NAME}'")).await
    }

    fn lock(&mut self, statement: &str, time: Duration) {
        while self.locks.try_join_next().is_some() {}
        let seconds = time.as_secs_f64();
        let script = format!("set application_name = '{NAME}'; begin; {statement}; select pg_sleep({seconds}); commit");
        let url = self.postgres.clone();
        self.locks.spawn(async move {
            // The server may crash meanwhile: then the lock is gone, too.
            let _ = execute(&url, &script).await;
        });
    }

    async fn sql(&self, statement: &str) -> Result<(), String> {
        let done = timeout(PATIENCE, execute(&self.postgres, statement)).await;
        done.map_err(|_| "PostgreSQL is silent".to_owned())?.map_err(|error| error.to_string())
    }

    async fn redis(&self, commands: &[&[&str]]) -> Result<(), String> {
        let run = async {
            let mut connection: MultiplexedConnection = self.redis.get_multiplexed_async_connection().await?;
            for words in commands {
                redis::cmd(words[0]).arg(&words[1..]).query_async::<redis::Value>(&mut connection).await?;
            }
            Ok::<_, redis::RedisError>(())
        };
        timeout(PATIENCE, run).await.map_err(|_| "Redis is silent".to_owned())?.map_err(|error| error.to_string())
    }
}

async fn execute(url: &str, script: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut connection).await?;
    connection.close().await
}
