//! The servers that a URL of `PostgreSQL` names, and how the connections to them are protected. No
//! error quotes a part of the URL that may be a password.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use galley_protocol::network::is_host;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Parameters that are read here; sqlx reads those of [`PASSED_ON`].
const READ_HERE: [&str; 11] = [
    "host",
    "hostaddr",
    "port",
    "target_session_attrs",
    "connect_timeout",
    "application_name",
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "sslcert",
    "sslkey",
];
const PASSED_ON: [&str; 5] = ["user", "password", "dbname", "options", "statement-cache-capacity"];
/// Parameters of other clients that change nothing here.
const WITHOUT_EFFECT: [&str; 7] = [
    "client_encoding",
    "fallback_application_name",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
];

/// The database of a URL, on one or more servers.
#[derive(Debug)]
pub(super) struct DatabaseAddress {
    pub(super) servers: Vec<ServerAddress>,
    /// True if a server that takes no changes must not be used at all.
    pub(super) must_write: bool,
    /// The longest time for connecting to one server.
    pub(super) connect_timeout: Option<Duration>,
    /// Files with certificates and keys, each with the setting that names it.
    pub(super) files: Vec<(&'static str, PathBuf)>,
}

/// One server.
#[derive(Clone, Debug)]
pub(super) struct ServerAddress {
    pub(super) options: PgConnectOptions,
    /// The host and the port for people.
    pub(super) place: String,
    /// True if the server may refuse TLS, and must then be asked first what it wants to be told:
    /// see [`super::clear_text`].
    pub(super) is_opportunistic: bool,
}

/// How connections are protected.
struct Protection {
    mode: PgSslMode,
    /// True if TLS is used only where the server has it.
    is_opportunistic: bool,
    root: Option<String>,
    client: Option<(String, String)>,
}

impl DatabaseAddress {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (_, rest) = url.split_once("://").ok_or("must begin with postgres://")?;
        let (rest, _) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) =
            authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let parameters = Parameters::parse(query)?;
        let protection = Protection::parse(&parameters)?;
        let login = if user.is_empty() { String::new() } else { format!("{user}@") };
        let tail = format!("{database}?{}", parameters.passed_on());
        let mut servers = Vec::new();
        for (host, port) in hosts_and_ports(hosts, &parameters)? {
            servers.push(ServerAddress::new(&login, &host, port, &tail, &protection, &parameters)?);
        }
        Ok(Self {
            servers,
            must_write: must_write(&parameters)?,
            connect_timeout: connect_timeout(&parameters)?,
            files: protection.files(),
        })
    }

    /// The readable address, without user and password.
    pub(super) fn place(&self) -> String {
        let hosts: Vec<&str> = self.servers.iter().map(|server| server.place.as_str()).collect();
        self.named(&hosts.join(","))
    }

    /// The readable address of the database on one of the servers.
    pub(super) fn named(&self, server: &str) -> String {
        let options = &self.servers[0].options;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        format!("PostgreSQL at {server}/{database}")
    }
}

impl ServerAddress {
    fn new(
        login: &str,
        host: &str,
        port: u16,
        tail: &str,
        protection: &Protection,
        parameters: &Parameters,
    ) -> Result<Self, String> {
        let is_socket = host.starts_with(['/', '@']);
        if !is_socket && !is_host(host) {
            return Err("its host is neither a name nor an address".to_owned());
        }
        let in_url = match host {
            _ if is_socket => utf8_percent_encode(host, NON_ALPHANUMERIC).to_string(),
            _ if host.contains(':') => format!("[{host}]"),
            _ => host.to_owned(),
        };
        let options =
            PgConnectOptions::from_str(&format!("postgres://{login}{in_url}:{port}/{tail}"));
        let options = options.map_err(|error| {
            if let sqlx::Error::Configuration(cause) = error {
                cause.to_string()
            } else {
                "cannot be read".to_owned()
            }
        })?;
        let name = parameters.get("application_name").unwrap_or_else(|| "galley".to_owned());
        // Poolers refuse parameters of the session that they do not know.
        let options = options.application_name(&name).extra_float_digits(None);
        let place = format!("{host}:{port}");
        if is_socket {
            // A name that begins with a NUL is one of the abstract names of Linux.
            let options = options.socket(host.replacen('@', "\0", 1)).ssl_mode(PgSslMode::Disable);
            return Ok(Self { options, place, is_opportunistic: false });
        }
        let is_local = host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        let is_careless = protection.is_opportunistic && is_local && protection.root.is_none();
        let mode = if is_careless { PgSslMode::Prefer } else { protection.mode };
        let mut options = options.host(host).ssl_mode(mode);
        options = match protection.root.as_deref() {
            Some("system") => options.ssl_root_cert_from_pem(Vec::new()),
            Some(file) => options.ssl_root_cert(file),
            None => options,
        };
        if let Some((certificate, key)) = &protection.client {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        let is_opportunistic = protection.is_opportunistic && !is_careless;
        Ok(Self { options, place, is_opportunistic })
    }
}

impl Protection {
    /// The environment may name files, and ask for more than the default, never for less.
    fn parse(parameters: &Parameters) -> Result<Self, String> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let root = parameters.get("sslrootcert").or_else(|| set("PGSSLROOTCERT"));
        let written = parameters.get("sslmode").or_else(|| parameters.get("ssl-mode"));
        let is_system = root.as_deref() == Some("system");
        let mode = match (&written, set("PGSSLMODE")) {
            (Some(written), _) => written.clone(),
            (None, Some(mode)) if mode != "disable" => mode,
            _ if is_system => "verify-full".to_owned(),
            _ => "prefer".to_owned(),
        };
        if is_system && mode != "verify-full" {
            return Err("sslrootcert=system needs sslmode=verify-full".to_owned());
        }
        let verified = if root.is_some() { PgSslMode::VerifyCa } else { PgSslMode::Require };
        let (mode, is_opportunistic) = match mode.as_str() {
            "disable" => (PgSslMode::Disable, false),
            "allow" | "prefer" => (verified, true),
            "require" => (verified, false),
            "verify-ca" if root.is_none() => {
                return Err("sslmode=verify-ca needs sslrootcert, because any public certificate \
                     would do without it; name the authority's file, or use verify-full"
                    .to_owned());
            }
            "verify-ca" => (PgSslMode::VerifyCa, false),
            "verify-full" => (PgSslMode::VerifyFull, false),
            _ => {
                return Err("sslmode must be disable, allow, prefer, require, verify-ca or \
                     verify-full"
                    .to_owned());
            }
        };
        let certificate = parameters.get("sslcert").or_else(|| set("PGSSLCERT"));
        let client = match (certificate, parameters.get("sslkey").or_else(|| set("PGSSLKEY"))) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("sslcert and sslkey must be given together".to_owned()),
        };
        Ok(Self { mode, is_opportunistic, root, client })
    }

    fn files(self) -> Vec<(&'static str, PathBuf)> {
        if matches!(self.mode, PgSslMode::Disable) {
            return Vec::new();
        }
        let root = self.root.filter(|root| root != "system");
        let (certificate, key) = self.client.unzip();
        let files = [("sslrootcert", root), ("sslcert", certificate), ("sslkey", key)];
        files.into_iter().filter_map(|(name, path)| Some((name, path?.into()))).collect()
    }
}

/// The parameters of a URL, as they are written.
struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parameters<'a> {
    fn parse(query: &'a str) -> Result<Self, String> {
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = match name {
                "ssl-root-cert" | "ssl-ca" => "sslrootcert",
                "ssl-cert" => "sslcert",
                "ssl-key" => "sslkey",
                name => name,
            };
            let is_default = matches!(
                (name, value),
                ("channel_binding" | "gssencmode", "disable" | "prefer")
                    | ("load_balance_hosts", "disable")
            );
            if is_default || WITHOUT_EFFECT.contains(&name) {
                continue;
            }
            let is_known = READ_HERE.contains(&name)
                || PASSED_ON.contains(&name)
                || name.starts_with("options[");
            if !is_known {
                // A name may be a password that was not encoded.
                let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let name = if is_word && value.len() < pair.len() { name } else { "?" };
                return Err(format!("its parameter `{name}` cannot be had; leave it out"));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    fn get(&self, name: &str) -> Option<String> {
        let (_, value) = self.0.iter().rev().find(|(known, _)| *known == name)?;
        Some(decoded(value)).filter(|value| !value.is_empty())
    }

    fn passed_on(&self) -> String {
        let rest = self.0.iter().filter(|(name, _)| !READ_HERE.contains(name));
        rest.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The hosts of the URL, or those of its parameters; without any, the one of the environment.
fn hosts_and_ports(authority: &str, parameters: &Parameters) -> Result<Vec<(String, u16)>, String> {
    let default = PgConnectOptions::new_without_pgpass();
    let listed = parameters.get("host").or_else(|| parameters.get("hostaddr"));
    if parameters.get("host").is_some() && parameters.get("hostaddr").is_some() {
        return Err("host and hostaddr cannot be given together".to_owned());
    }
    let entries: Vec<(String, String)> = match &listed {
        Some(hosts) => hosts.split(',').map(|host| (host.to_owned(), String::new())).collect(),
        None => authority.split(',').map(host_and_port).collect(),
    };
    let ports = parameters.get("port").map(|ports| {
        let ports: Vec<String> = ports.split(',').map(str::to_owned).collect();
        ports
    });
    let shared =
        listed.is_some().then(|| host_and_port(authority).1).filter(|port| !port.is_empty());
    let ports = ports.or_else(|| shared.map(|port| vec![port]));
    if ports.as_ref().is_some_and(|ports| ports.len() != 1 && ports.len() != entries.len()) {
        return Err("it has another number of ports than of hosts".to_owned());
    }
    let mut hosts = Vec::new();
    for (index, (host, port)) in entries.into_iter().enumerate() {
        let listed = ports.as_ref().and_then(|ports| ports.get(index).or(ports.first()));
        let port = match listed.unwrap_or(&port).as_str() {
            "" => default.get_port(),
            port => port.parse().map_err(|_| "its port must be a number up to 65535".to_owned())?,
        };
        let host = if host.is_empty() { default.get_host().to_owned() } else { host };
        hosts.push((host, port));
    }
    Ok(hosts)
}

/// Splits `host`, `host:port`, `[address]` and `[address]:port`.
fn host_and_port(text: &str) -> (String, String) {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
    (decoded(host), port.to_owned())
}

fn must_write(parameters: &Parameters) -> Result<bool, String> {
    match parameters.get("target_session_attrs").as_deref() {
        None | Some("any") => Ok(false),
        Some("read-write" | "primary") => Ok(true),
        Some("standby" | "read-only" | "prefer-standby") => {
            Err("target_session_attrs must be any, read-write or primary, because orders are \
                 written"
                .to_owned())
        }
        Some(_) => Err("target_session_attrs must be any, read-write or primary".to_owned()),
    }
}

/// Zero and less mean no time-out of its own, as with other clients.
fn connect_timeout(parameters: &Parameters) -> Result<Option<Duration>, String> {
    let Some(seconds) = parameters.get("connect_timeout") else { return Ok(None) };
    let seconds: i32 =
        seconds.trim().parse().map_err(|_| "connect_timeout must be a number of seconds")?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgSslMode;

    use super::DatabaseAddress;

    fn place(url: &str) -> String {
        DatabaseAddress::parse(url).unwrap_or_else(|error| panic!("{url}: {error}")).place()
    }

    fn refused(url: &str) -> String {
        let error = DatabaseAddress::parse(url).err().unwrap_or_else(|| panic!("{url}"));
        assert!(!error.contains("hush") && error.lines().count() == 1, "{url}: {error}");
        error
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        for (url, expected) in [
            ("postgres://u:hush@h/db", "h:5432/db"),
            ("postgresql://u:hush@h:5433/db", "h:5433/db"),
            ("postgres://u:p%40ss@h1:5432,h2:5433/db", "h1:5432,h2:5433/db"),
            ("postgres://u@h1,h2/db?target_session_attrs=read-write", "h1:5432,h2:5432/db"),
            ("postgres://u@/db?host=h1,h2&port=6000,6001", "h1:6000,h2:6001/db"),
            ("postgres:///db?host=h1,h2&port=6000&user=u", "h1:6000,h2:6000/db"),
            ("postgres:///db?host=/run/postgresql", "/run/postgresql:5432/db"),
            ("postgres://u@/db?host=%2Frun%2Fpostgresql&port=1", "/run/postgresql:1/db"),
            ("postgres://u@%2Frun%2Fpostgresql/db", "/run/postgresql:5432/db"),
            ("postgres://u@%2Frun%2Fpostgresql:7/db", "/run/postgresql:7/db"),
            ("postgres://u@/db?host=@abstract", "@abstract:5432/db"),
            ("postgres://u@[::1]/db", "::1:5432/db"),
            ("postgres://u@[::1]:5433,[fe80::2]/db", "::1:5433,fe80::2:5432/db"),
            ("postgres://u@h", "h:5432/u"),
            ("postgres://u@h/db?hostaddr=10.0.0.7", "10.0.0.7:5432/db"),
        ] {
            assert_eq!(place(url), format!("PostgreSQL at {expected}"), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_in_a_line_without_the_password() {
        for (url, part) in [
            ("postgres:u:hush@h/db", "postgres://"),
            ("postgres://u:hush@h:port/db", "port"),
            ("postgres://u:hush@h:5432,h2:x/db", "port"),
            ("postgres://u:hush@h:70000/db", "port"),
            ("postgres://u:hush@h1,/db?port=1,2,3", "ports"),
            ("postgres://u:hush@a..b/db", "host"),
            ("postgres://u:hush@h/db?target_session_attrs=standby", "orders are written"),
            ("postgres://u:hush@h/db?target_session_attrs=prefer-standby", "orders are written"),
            ("postgres://u:hush@h/db?target_session_attrs=nonsense", "read-write"),
            ("postgres://u:hush@h/db?connect_timeout=soon", "connect_timeout"),
            ("postgres://u:hush@h/db?sslmode=verify_full", "verify-full"),
            ("postgres://u:hush@h/db?sslmode=verify-ca", "sslrootcert"),
            ("postgres://u:hush@h/db?sslrootcert=system&sslmode=require", "verify-full"),
            ("postgres://u:hush@h/db?sslcert=/a", "sslkey"),
            ("postgres://u:hush@h/db?channel_binding=require", "channel_binding"),
            ("postgres://u:hush@h/db?passwort=hush", "passwort"),
            ("postgres://u:p?hush@h/db", "parameter"),
        ] {
            let error = refused(url);
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn a_certificate_is_verified_wherever_an_authority_is_named() {
        use PgSslMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
        for (url, mode, is_opportunistic) in [
            ("postgres://u@h/db", Require, true),
            ("postgres://u@h/db?sslmode=allow", Require, true),
            ("postgres://u@h/db?sslmode=prefer&sslrootcert=/ca", VerifyCa, true),
            ("postgres://u@h/db?sslmode=disable", Disable, false),
            ("postgres://u@h/db?sslmode=require", Require, false),
            ("postgres://u@h/db?sslmode=require&sslrootcert=/ca", VerifyCa, false),
            ("postgres://u@h/db?sslmode=verify-ca&sslrootcert=/ca", VerifyCa, false),
            ("postgres://u@h/db?sslmode=verify-full", VerifyFull, false),
            ("postgres://u@h/db?sslrootcert=system", VerifyFull, false),
            ("postgres://u@127.0.0.1/db", Prefer, false),
            ("postgres://u@localhost/db?sslrootcert=/ca", VerifyCa, true),
            ("postgres://u@/db?host=/run&sslmode=verify-full", Disable, false),
        ] {
            let address =
                DatabaseAddress::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let server = &address.servers[0];
            let found = (format!("{:?}", server.options.get_ssl_mode()), server.is_opportunistic);
            assert_eq!(found, (format!("{mode:?}"), is_opportunistic), "{url}");
        }
    }
}
