//! Faults inside Redis and `PostgreSQL`, while they run.
//!
//! Called by the breaker. If the server is down the error says that the fault had no effect.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redis::aio::MultiplexedConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::action::{Mischief, Obstacle};

/// The names of the service in Redis.
const STREAM: &str = "galley:v1:orders:{00}";
const GROUP: &str = "workers";
const CHANNELS: [&str; 1] = ["galley:v1:updates:{00}"];
const FIELD: &str = "o";
/// The longest time for an action on a server.
const PATIENCE: Duration = Duration::from_secs(2);
/// The application name of the connections that hold locks.
const NAME: &str = "galley-faults";
/// The highest id in entries of old orders: about the number of orders in a round.
const OLD_ORDERS: i64 = 2_000;

/// A bound above the connections that `PostgreSQL` allows.
const MAX_CONNECTIONS: usize = 100;

/// The state of the faults inside the servers.
#[derive(Debug)]
pub struct Meddler {
    postgres: String,
    random: StdRng,
    locks: JoinSet<()>,
    taken: Vec<PgConnection>,
}

impl Meddler {
    /// A meddler with the `PostgreSQL` at this URL.
    #[must_use]
    pub fn new(postgres: &str, seed: u64) -> Self {
        let (random, locks) = (StdRng::seed_from_u64(seed), JoinSet::new());
        Self { postgres: postgres.to_owned(), random, locks, taken: Vec::new() }
    }

    /// Meddles with the data in the Redis at this URL.
    ///
    /// # Errors
    /// If Redis is unreachable.
    pub async fn meddle(&mut self, redis: &str, mischief: Mischief) -> Result<(), String> {
        let ask = async |commands: &[&[&str]]| ask(redis, commands).await;
        match mischief {
            Mischief::Flush => ask(&[&["FLUSHALL"]]).await,
            Mischief::DestroyGroup => ask(&[&["XGROUP", "DESTROY", STREAM, GROUP]]).await,
            Mischief::DeleteStream => ask(&[&["DEL", STREAM]]).await,
            Mischief::KillSubscribers => ask(&[&["CLIENT", "KILL", "TYPE", "pubsub"]]).await,
            Mischief::KillClients => {
                ask(&[&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]]).await
            }
            Mischief::Hold(time) => {
                ask(&[&["CLIENT", "PAUSE", &time.as_millis().to_string(), "ALL"]]).await
            }
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
                ask(&strange.each_ref().map(|words| &words[..])).await
            }
            Mischief::OldEntries => {
                let orders: Vec<String> =
                    (0..20).map(|_| self.random.random_range(1..=OLD_ORDERS).to_string()).collect();
                let entries: Vec<[&str; 5]> =
                    orders.iter().map(|order| ["XADD", STREAM, "*", FIELD, order]).collect();
                let twice: Vec<&[&str]> =
                    entries.iter().chain(&entries).map(|words| &words[..]).collect();
                ask(&twice).await
            }
            Mischief::StrangeMessages => {
                let strange = [
                    "",
                    "galley2",
                    "galley2 1 1\n1 2 3\n",
                    "galley2 7 18446744073709551615\n",
                    "\u{0}\n\n{}",
                ];
                let messages: Vec<[&str; 3]> = CHANNELS
                    .iter()
                    .flat_map(|channel| strange.map(|text| ["PUBLISH", channel, text]))
                    .collect();
                ask(&messages.iter().map(|words| &words[..]).collect::<Vec<_>>()).await
            }
        }
    }

    /// Bounds the memory of Redis, so that it accepts no more data, or lifts the bound.
    ///
    /// # Errors
    /// If Redis is unreachable.
    pub async fn bound_redis(&self, redis: &str, bytes: u64) -> Result<(), String> {
        ask(redis, &[&["CONFIG", "SET", "maxmemory", &bytes.to_string()]]).await
    }

    /// Obstructs `PostgreSQL`.
    ///
    /// # Errors
    /// If `PostgreSQL` is unreachable.
    pub async fn obstruct(&mut self, obstacle: Obstacle) -> Result<(), String> {
        let galley = "pg_stat_activity where application_name = 'galley'";
        match obstacle {
            Obstacle::EndAll => {
                self.sql(&format!("select pg_terminate_backend(pid) from {galley}")).await
            }
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

    /// Releases every lock.
    ///
    /// # Errors
    /// If `PostgreSQL` is unreachable.
    pub async fn unlock(&mut self) -> Result<(), String> {
        self.locks.abort_all();
        self.sql(&format!("select pg_terminate_backend(pid) from pg_stat_activity where application_name = '{NAME}'")).await
    }

    /// Allows `PostgreSQL` to write, or forbids it.
    ///
    /// # Errors
    /// If `PostgreSQL` is unreachable.
    pub async fn allow_writing(&self, allowed: bool) -> Result<(), String> {
        let refuse = if allowed { "off" } else { "on" };
        self.sql(&format!("alter system set default_transaction_read_only = {refuse}")).await?;
        self.sql("select pg_reload_conf()").await
    }

    /// Takes all free connections of `PostgreSQL`.
    ///
    /// # Errors
    /// If `PostgreSQL` does not answer.
    pub async fn take_connections(&mut self) -> Result<(), String> {
        while self.taken.len() < MAX_CONNECTIONS {
            match timeout(PATIENCE, PgConnection::connect(&self.postgres)).await {
                Ok(Ok(connection)) => self.taken.push(connection),
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err("PostgreSQL is silent".to_owned()),
            }
        }
        Ok(())
    }

    /// Returns the taken connections.
    pub async fn return_connections(&mut self) {
        for connection in self.taken.drain(..) {
            // A connection that has ended is already returned.
            let _ = timeout(PATIENCE, connection.close()).await;
        }
    }

    fn lock(&mut self, statement: &str, time: Duration) {
        while self.locks.try_join_next().is_some() {}
        let seconds = time.as_secs_f64();
        let script = format!(
            "set application_name = '{NAME}'; begin; {statement}; select pg_sleep({seconds}); commit"
        );
        let url = self.postgres.clone();
        self.locks.spawn(async move {
            // The server may crash meanwhile, which releases the lock as well.
            let _ = execute(&url, &script).await;
        });
    }

    async fn sql(&self, statement: &str) -> Result<(), String> {
        let done = timeout(PATIENCE, execute(&self.postgres, statement)).await;
        done.map_err(|_| "PostgreSQL is silent".to_owned())?.map_err(|error| error.to_string())
    }
}

/// Runs commands on the Redis at this URL.
async fn ask(url: &str, commands: &[&[&str]]) -> Result<(), String> {
    let run = async {
        let client = redis::Client::open(url)?;
        let mut connection: MultiplexedConnection =
            client.get_multiplexed_async_connection().await?;
        for words in commands {
            redis::cmd(words[0])
                .arg(&words[1..])
                .query_async::<redis::Value>(&mut connection)
                .await?;
        }
        Ok::<_, redis::RedisError>(())
    };
    timeout(PATIENCE, run)
        .await
        .map_err(|_| "Redis is silent".to_owned())?
        .map_err(|error| error.to_string())
}

async fn execute(url: &str, script: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut connection).await?;
    connection.close().await
}
