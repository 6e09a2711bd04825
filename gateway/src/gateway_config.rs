//! The settings of a gateway.

use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use galley_launch::{CheckReport, ListenAddress};

use crate::BindError;
use crate::auth::{SignInProvider, TokenConfig, Verifier};
use crate::http::TrustedProxies;
use crate::http::base_path::BasePath;
use crate::http::entrance::Entrance;
use crate::http::host::AllowedHosts;
use crate::http::origin::Origins;
use crate::limits::{ByteRate, RateLimit};

/// Default shutdown delay on an address that other machines can reach: two health checks of a
/// common balancer.
const SHUTDOWN_DELAY: Duration = Duration::from_secs(5);

/// The settings of a gateway: flags, then environment, then defaults.
#[derive(Args, Clone, Debug)]
#[group(id = "gateway")]
pub struct GatewayConfig {
    /// Address to listen on: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `8080` (127.0.0.1),
    /// `:8080` (every address) or `unix:/PATH`, a socket that owner and group may connect to; port
    /// 0 picks a free one
    #[arg(long, env = "GALLEY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: ListenAddress,

    /// Share the address with other gateways of this machine (`SO_REUSEPORT`): the kernel spreads
    /// new connections among them. For more sockets than one process may open files
    #[arg(long, env = "GALLEY_REUSE_PORT", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, default_missing_value = "true", default_value = "false", value_name = "BOOL")]
    pub reuse_port: bool,

    /// Authentication of callers: `none` (anyone who reaches the address may act as any hero) or
    /// `jwt` (a token of `galley token`, or of an identity provider)
    #[arg(long, env = "GALLEY_AUTH", value_enum, default_value_t = Auth::None, value_name = "WAY")]
    pub auth: Auth,

    /// Serve without authentication beyond loopback; anybody who reaches the address may do
    /// anything
    #[arg(long, env = "GALLEY_INSECURE_NO_AUTH", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, default_missing_value = "true", default_value = "false", value_name = "BOOL")]
    pub insecure_no_auth: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the program's in its help")]
    pub tokens: TokenConfig,

    /// Origins whose pages may speak to this gateway besides its own, comma-separated, as browsers
    /// write them: `https://host:port`
    #[arg(long, env = "GALLEY_ALLOWED_ORIGINS", value_delimiter = ',', value_name = "ORIGINS")]
    pub allowed_origins: Vec<String>,

    /// Hosts that requests may name, besides addresses and localhost, comma-separated:
    /// `galley.example.org`, `*.example.org`, or `*` for any; others are answered with 421.
    /// Default: any where tokens are needed, else none
    #[arg(long, env = "GALLEY_ALLOWED_HOSTS", value_delimiter = ',', value_name = "HOSTS")]
    pub allowed_hosts: Vec<String>,

    /// Proxies whose `Forwarded` and `X-Forwarded-*` headers are believed, comma-separated:
    /// networks such as `10.0.0.0/8`, addresses, or `unix` for peers on a Unix socket. Default:
    /// none. Each must set or remove all of these headers
    #[arg(long, env = "GALLEY_TRUSTED_PROXIES", value_delimiter = ',', value_name = "PROXIES")]
    pub trusted_proxies: Vec<String>,

    /// Path under which everything is served, such as `/galley`
    #[arg(long, env = "GALLEY_BASE_PATH", default_value = "/", value_parser = base_path, value_name = "PATH")]
    pub base_path: String,

    /// A socket whose peer was silent for so long is sent a native ping, an event stream a comment
    #[arg(long, env = "GALLEY_PING_INTERVAL", default_value = "20s", value_parser = duration, value_name = "DURATION")]
    pub ping_interval: Duration,

    /// A peer that stays silent for so long after the ping is given up
    #[arg(long, env = "GALLEY_PONG_TIMEOUT", default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub pong_timeout: Duration,

    /// The largest frame and message that a client may send, in bytes; beyond: close 1009
    #[arg(long, env = "GALLEY_MAX_MESSAGE", default_value = "16KiB", value_parser = bytes, value_name = "BYTES")]
    pub max_message: usize,

    /// Bytes held for a socket that does not keep up; beyond, it is sent the newest states as one
    /// `resync`
    #[arg(long, env = "GALLEY_SEND_QUEUE", default_value = "256KiB", value_parser = bytes, value_name = "BYTES")]
    pub send_queue: usize,

    /// Sockets and event streams that this gateway holds, a number or `unlimited`; beyond: 503
    /// before the upgrade
    #[arg(long, env = "GALLEY_MAX_SOCKETS", default_value = "unlimited", value_parser = count, value_name = "COUNT")]
    pub max_sockets: usize,

    /// Sockets and event streams that one hero may hold on this gateway, a number or `unlimited`;
    /// beyond: 429 before the upgrade
    #[arg(long, env = "GALLEY_MAX_SOCKETS_PER_HERO", default_value = "64", value_parser = count, value_name = "COUNT")]
    pub max_sockets_per_hero: usize,

    /// Sockets and event streams that one address (of IPv6: one /64) may hold on this gateway, a
    /// number or `unlimited`; beyond: 429 before the upgrade. Behind a proxy that is not in
    /// `GALLEY_TRUSTED_PROXIES`, every client has the proxy's address
    #[arg(long, env = "GALLEY_MAX_SOCKETS_PER_IP", default_value = "unlimited", value_parser = count, value_name = "COUNT")]
    pub max_sockets_per_ip: usize,

    /// The greatest age of a socket or event stream, a duration of at least 1s or `unlimited`. An
    /// older one is sent away with close 1012, at its own moment within the last tenth, and comes
    /// back wherever there is room: so gateways share the load again
    #[arg(long, env = "GALLEY_MAX_SOCKET_AGE", default_value = "unlimited", value_parser = galley_launch::parse_age, value_name = "DURATION")]
    pub max_socket_age: Duration,

    /// Commands that one hero or member of staff may send, over all sockets, and by REST if a token
    /// names a hero, as `COUNT/s|min|h [burst COUNT]` or `unlimited`; beyond: error or 429
    /// `rate-limited`
    #[arg(
        long,
        env = "GALLEY_COMMAND_RATE",
        default_value = "50/s burst 100",
        value_name = "RATE"
    )]
    pub command_rate: RateLimit,

    /// Bytes of requests with texts to store that one hero or member of staff may send, as
    /// `SIZE/s|min|h [burst SIZE]` or `unlimited`; 128 bytes of each are free; beyond: error or 429
    /// `rate-limited`
    #[arg(
        long,
        env = "GALLEY_WRITE_RATE",
        default_value = "64KiB/s burst 8MiB",
        value_name = "RATE"
    )]
    pub write_rate: ByteRate,

    /// Reads that one caller may have under way, with those that wait for their turn, a number or
    /// `unlimited`; sixteen times as many without authentication; beyond: error or 429
    /// `rate-limited`
    #[arg(long, env = "GALLEY_MAX_READS_PER_CALLER", default_value = "64", value_parser = count, value_name = "COUNT")]
    pub max_reads_per_caller: usize,

    /// Orders of one hero that have not ended, a number or `unlimited`; beyond: error or 429
    /// `too-many-open-orders`
    #[arg(long, env = "GALLEY_MAX_OPEN_ORDERS_PER_HERO", default_value = "100000", value_parser = count, value_name = "COUNT")]
    pub max_open_orders_per_hero: usize,

    /// Connections that one address (of IPv6: one /64) may hold, sockets included, a number or
    /// `unlimited`; beyond: closed at once. Connections of `GALLEY_TRUSTED_PROXIES` do not count
    #[arg(long, env = "GALLEY_MAX_CONNECTIONS_PER_IP", default_value = "unlimited", value_parser = count, value_name = "COUNT")]
    pub max_connections_per_ip: usize,

    /// Requests that one address (of IPv6: one /64) may send, written like the command rate;
    /// beyond: 429. Behind a proxy that is not in `GALLEY_TRUSTED_PROXIES`, every client has the
    /// proxy's address
    #[arg(long, env = "GALLEY_REST_RATE", default_value = "unlimited", value_name = "RATE")]
    pub rest_rate: RateLimit,

    /// How long the gateway serves everything after SIGTERM with `/readyz` red, so that balancers
    /// stop sending, before it closes its listener. Default: 0s on a loopback address or a Unix
    /// socket, 5s elsewhere
    #[arg(long, env = "GALLEY_SHUTDOWN_DELAY", value_parser = galley_launch::parse_duration, value_name = "DURATION")]
    pub shutdown_delay: Option<Duration>,

    /// Window over which sockets are told to reconnect when the gateway leaves, each at its own
    /// moment; where no other gateway could take them, all are told at once
    #[arg(long, env = "GALLEY_DRAIN", default_value = "10s", value_parser = galley_launch::parse_duration, value_name = "DURATION")]
    pub drain: Duration,
}

impl GatewayConfig {
    /// Checks the settings before anything is started.
    ///
    /// # Errors
    /// [`BindError::Config`] if a setting is invalid.
    pub fn check(&self) -> Result<(), BindError> {
        if self.reuse_port && matches!(self.listen, ListenAddress::Unix(_)) {
            return Err(BindError::Config(
                "--reuse-port: a Unix socket belongs to one process".to_owned(),
            ));
        }
        self.verifier()?;
        self.provider()?;
        self.origins()?;
        self.hosts()?;
        self.entrance().map(|_| ())
    }

    /// How long the gateway keeps serving after it was told to stop. A local address has no
    /// balancer in front that must notice.
    pub(crate) fn shutdown_delay(&self) -> Duration {
        self.shutdown_delay.unwrap_or(if self.listen.is_local() {
            Duration::ZERO
        } else {
            SHUTDOWN_DELAY
        })
    }

    /// Returns the verifier of tokens; `None` without authentication.
    pub(crate) fn verifier(&self) -> Result<Option<Verifier>, BindError> {
        match self.auth {
            Auth::Jwt => {
                let verifier = self.tokens.verifier();
                verifier
                    .map(Some)
                    .map_err(|error| BindError::Config(format!("--auth jwt: {error}")))
            }
            Auth::None if self.listen.is_local() || self.insecure_no_auth => Ok(None),
            Auth::None => Err(BindError::Config(format!(
                "refusing to listen on {} without authentication: anybody who reaches it could do anything; \
                 set GALLEY_AUTH=jwt, or listen on a loopback address or a Unix socket, or set GALLEY_INSECURE_NO_AUTH=1 if the network \
                 keeps others out",
                self.listen
            ))),
        }
    }

    /// Returns the provider with which the dashboard signs people in, if one is set.
    pub(crate) fn provider(&self) -> Result<Option<SignInProvider>, BindError> {
        self.tokens.provider(self.auth == Auth::Jwt).map_err(BindError::Config)
    }

    /// Adds the identity provider to a report, if there is one: whether its keys, and the endpoints
    /// where people sign in, can be read.
    pub async fn try_keys(&self, report: &mut CheckReport) {
        if let Ok(Some(verifier)) = self.verifier()
            && verifier.keys().has_source()
        {
            let answer = verifier.keys().read().await;
            report.add(
                "identity provider",
                answer.map(|count| format!("has {count} keys for tokens")),
            );
        }
        if let Ok(Some(provider)) = self.provider() {
            let answer = provider.read().await;
            report.add("sign-in", answer.map(|place| format!("leads to {place}")));
        }
    }

    /// The origins whose pages may call this gateway, besides its own.
    pub(crate) fn origins(&self) -> Result<Origins, BindError> {
        Origins::parse(&self.allowed_origins)
            .map_err(|error| BindError::Config(format!("--allowed-origins: {error}")))
    }

    /// The hosts that requests may name.
    pub(crate) fn hosts(&self) -> Result<AllowedHosts, BindError> {
        AllowedHosts::parse(&self.allowed_hosts, self.auth == Auth::Jwt)
            .map_err(|error| BindError::Config(format!("--allowed-hosts: {error}")))
    }

    /// Returns the entrance, which every request passes first.
    pub(crate) fn entrance(&self) -> Result<Entrance, BindError> {
        let base = self.base_path.parse();
        let base = base.map_err(|error| BindError::Config(format!("--base-path: {error}")))?;
        let proxies = TrustedProxies::parse(&self.trusted_proxies)
            .map_err(|error| BindError::Config(format!("--trusted-proxies: {error}")))?;
        Ok(Entrance { proxies, base })
    }
}

/// The way in which callers authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Not at all.
    None,
    /// With a JSON Web Token.
    Jwt,
}

impl Auth {
    /// The value on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Jwt => "jwt",
        }
    }
}

/// Checks the path, whose type is private.
fn base_path(text: &str) -> Result<String, String> {
    text.parse::<BasePath>().map(|_| text.to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = galley_launch::parse_duration(text)?;
    let is_long = duration >= Duration::from_millis(100);
    is_long.then_some(duration).ok_or_else(|| "must be at least 100ms".to_owned())
}

fn count(text: &str) -> Result<usize, String> {
    if text == "unlimited" {
        return Ok(usize::MAX);
    }
    text.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| "must be a positive number or unlimited".to_owned())
}

fn bytes(text: &str) -> Result<usize, String> {
    let size = text.parse::<ByteSize>().ok().and_then(|size| usize::try_from(size.as_u64()).ok());
    let size = size.filter(|bytes| (1024..=64 * 1024 * 1024).contains(bytes));
    size.ok_or_else(|| "must be a size such as 16KiB, from 1KiB to 64MiB".to_owned())
}
