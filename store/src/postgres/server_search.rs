//! Finds the server that takes changes among those of the URL.
//!
//! The servers are asked in their order, at the start and whenever the connection that shows that
//! this process lives has to be opened again. The pool then connects to the server that was found.
//! If none takes changes, one that can be read is used, unless `target_session_attrs` forbids it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use super::clear_text;
use super::database_address::{DatabaseAddress, ServerAddress};
use super::failure;
use super::statements::{refusal, silence};
use crate::{StoreConnectError, StoreError};

/// The least time for connecting to a server.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// The servers of one URL, and the one in use.
#[derive(Debug)]
pub(super) struct ServerSearch {
    address: RwLock<Arc<DatabaseAddress>>,
    current: AtomicUsize,
}

/// The reason why no server was found.
#[derive(Debug)]
pub(super) struct NoServer {
    /// For a program that starts.
    pub(super) at_start: StoreConnectError,
    /// For a program that runs.
    pub(super) running: StoreError,
}

impl ServerSearch {
    pub(super) fn new(url: &str) -> Result<Self, StoreConnectError> {
        let address = DatabaseAddress::parse(url).map_err(StoreConnectError::BadUrl)?;
        Ok(Self { address: RwLock::new(Arc::new(address)), current: AtomicUsize::new(0) })
    }

    /// Takes another URL for further connections.
    pub(super) fn renew(&self, url: &str) -> Result<(), StoreConnectError> {
        let address = DatabaseAddress::parse(url).map_err(StoreConnectError::BadUrl)?;
        *self.address.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(address);
        Ok(())
    }

    pub(super) fn address(&self) -> Arc<DatabaseAddress> {
        Arc::clone(&self.address.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Connects to the first server that takes changes, within this time for all.
    pub(super) async fn find(&self, all: Duration) -> Result<PgConnection, NoServer> {
        let address = self.address();
        let count = u32::try_from(address.servers.len()).unwrap_or(u32::MAX);
        let each = (all / count).max(LEAST_TIME);
        let each = address.connect_timeout.unwrap_or(each).min(each);
        let is_choosy = address.must_write || address.servers.len() > 1;
        let (mut readable, mut refused) = (None, None);
        let mut reasons = Vec::new();
        for (index, server) in address.servers.iter().enumerate() {
            let opened = timeout(each, open(server, is_choosy)).await;
            match opened.unwrap_or_else(|_| Err(silence())) {
                Ok((connection, true)) => return Ok(self.choose(index, connection)),
                Ok((connection, false)) => {
                    reasons.push((server, "it takes no changes".to_owned(), None));
                    readable.get_or_insert((index, connection));
                }
                Err(error) => {
                    let at_start = failure::of_connecting(&address, server, &error);
                    if let StoreConnectError::Refused(_) = at_start {
                        // Another server may take what this one refuses: a standby that lags
                        // behind does not know a new database or user yet.
                        refused.get_or_insert(NoServer { at_start, running: refusal(&error) });
                    }
                    reasons.push((server, failure::said(&error), Some(refusal(&error))));
                }
            }
        }
        match readable {
            Some((index, connection)) if !address.must_write => Ok(self.choose(index, connection)),
            _ => Err(refused.unwrap_or_else(|| nothing(&address, reasons))),
        }
    }

    /// Connects once more to the server that was found.
    pub(super) async fn another(
        &self,
        at_most: Duration,
    ) -> Result<PgConnection, StoreConnectError> {
        let server = self.current();
        let opened = timeout(at_most, open(&server, false)).await;
        opened
            .unwrap_or_else(|_| Err(silence()))
            .map(|(connection, _)| connection)
            .map_err(|error| failure::of_connecting(&self.address(), &server, &error))
    }

    fn choose(&self, index: usize, connection: PgConnection) -> PgConnection {
        self.current.store(index, Ordering::Release);
        connection
    }

    /// The options of further connections to the server in use. If it may have no TLS, they demand
    /// TLS nevertheless: see [`ServerSearch::without_tls`].
    pub(super) fn options(&self) -> PgConnectOptions {
        self.current().options
    }

    /// The options of one connection without TLS, once the server was asked what it wants to be
    /// told; `None` if it must have TLS.
    pub(super) async fn without_tls(&self) -> Result<Option<PgConnectOptions>, sqlx::Error> {
        let server = self.current();
        if !server.is_opportunistic {
            return Ok(None);
        }
        clear_text::safe(&server).await.map(Some)
    }

    fn current(&self) -> ServerAddress {
        let address = self.address();
        // Another URL may name fewer servers.
        let current = address.servers.get(self.current.load(Ordering::Acquire));
        current.unwrap_or(&address.servers[0]).clone()
    }

    /// Reads the files with certificates and keys, because sqlx names none of them in its errors,
    /// and takes a file without any certificate for no authority at all.
    pub(super) fn check_files(&self) -> Result<(), StoreConnectError> {
        let address = self.address();
        for (setting, path) in &address.files {
            check_file(setting, path).map_err(|why| {
                let place = address.place();
                StoreConnectError::Refused(format!(
                    "cannot use {place}: {} of {setting} in DATABASE_URL: {why}",
                    path.display()
                ))
            })?;
        }
        Ok(())
    }
}

fn nothing(
    address: &DatabaseAddress,
    reasons: Vec<(&ServerAddress, String, Option<StoreError>)>,
) -> NoServer {
    let is_one = reasons.len() == 1;
    let said =
        reasons.iter().map(
            |(server, said, _)| {
                if is_one { said.clone() } else { format!("{}: {said}", server.place) }
            },
        );
    let said = said.collect::<Vec<_>>().join("; ");
    let place = address.place();
    let at_start = StoreConnectError::Unreachable(format!("cannot reach {place}: {said}"));
    let running = reasons.into_iter().find_map(|(_, _, running)| running);
    NoServer { at_start, running: running.unwrap_or(StoreError::Unavailable(said)) }
}

fn check_file(setting: &str, path: &Path) -> Result<(), String> {
    let text = fs::read(path).map_err(|error| galley_protocol::network::reason(&error))?;
    let text = String::from_utf8_lossy(&text);
    match setting {
        "sslkey" if text.contains("ENCRYPTED") => Err("the key is encrypted".to_owned()),
        "sslkey" if !text.contains("PRIVATE KEY-----") => Err("there is no key in it".to_owned()),
        "sslrootcert" | "sslcert" if !text.contains("-----BEGIN CERTIFICATE-----") => {
            Err("there is no certificate in it".to_owned())
        }
        _ => Ok(()),
    }
}

/// Opens a connection. Returns true beside it if the server takes changes, or if nobody asks.
async fn open(
    server: &ServerAddress,
    is_choosy: bool,
) -> Result<(PgConnection, bool), sqlx::Error> {
    let mut connection = clear_text::safe(server).await?.connect().await?;
    let writes = !is_choosy || takes_changes(&mut connection).await?;
    Ok((connection, writes))
}

async fn takes_changes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let ask = sqlx::raw_sql(
        "/* takes_changes */
         select not (pg_is_in_recovery()
             or current_setting('transaction_read_only')::boolean) as takes_changes",
    );
    connection.fetch_one(ask).await?.try_get("takes_changes")
}
