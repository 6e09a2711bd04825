//! Reads the URLs of the database and of Redis again from their files, at each hangup, so that a
//! password can be changed without a restart.

use std::sync::Arc;

use galley_bus::SharedBus;
use galley_store::Store;
use tracing::{error, info};

use crate::Hangups;
use crate::secret_files::{file_variable, named_file, read_secret};

/// Renews the logins at each hangup. A file that cannot be read leaves the earlier login in force.
/// Connections that are open stay open. Gateways and workers supervise this; it never returns.
pub async fn renew_logins(store: Arc<dyn Store>, bus: SharedBus) {
    let mut hangups = Hangups::listen();
    loop {
        hangups.next().await;
        renew("DATABASE_URL", |url| store.renew_url(url).map_err(|error| error.to_string()));
        renew("REDIS_URL", |url| bus.renew_login(url).map_err(|error| error.to_string()));
    }
}

fn renew(variable: &str, take: impl FnOnce(&str) -> Result<(), String>) {
    let Some(path) = named_file(variable) else { return };
    let setting = file_variable(variable);
    match read_secret(&path).and_then(|url| take(&url)) {
        Ok(()) => info!(setting, "read again for further connections"),
        Err(why) => error!(setting, why, "the earlier one stays in force"),
    }
}
