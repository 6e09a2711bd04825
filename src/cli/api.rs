//! A client of a gateway's public HTTP API.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use galley_launch::{Hidden, no_tls, tls_client};
use galley_protocol::{BearerToken, Version};
use reqwest::header::{ACCEPT_LANGUAGE, HeaderName, HeaderValue, IF_MATCH};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use rustls::ClientConfig;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::error::CommandError;
use super::exit::Exit;
use super::output;

/// The default time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A gateway, and the form in which its answers are shown.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of commands that ask a gateway")]
pub struct Remote {
    /// Address of the gateway
    #[arg(long, global = true, env = "GALLEY_URL", value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    pub url: Url,
    /// Bearer token. Visible to other users in the process list: prefer `GALLEY_TOKEN` or
    /// --token-file
    #[arg(long, global = true, env = "GALLEY_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<Hidden>,
    /// File that holds the bearer token
    #[arg(
        long,
        global = true,
        env = "GALLEY_TOKEN_FILE",
        value_name = "PATH",
        hide_env_values = true
    )]
    pub token_file: Option<PathBuf>,
    /// File with the certificate authorities to trust for `https://`, in PEM form, in place of the
    /// system's
    #[arg(long, global = true, env = "GALLEY_CA_FILE", value_name = "PATH")]
    pub ca_file: Option<PathBuf>,
    /// Longest wait for an answer; with `order place --wait`, for the end of the order [default:
    /// 10s; with --wait: unlimited]
    #[arg(long, global = true, env = "GALLEY_TIMEOUT", value_name = "DURATION", value_parser = output::parse_duration)]
    pub timeout: Option<Duration>,
    /// Print data as JSON on standard output, and an error as one JSON problem on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// The Unix socket on which the gateway listens, in place of the host of the URL.
    #[arg(skip)]
    pub socket: Option<PathBuf>,
}

pub struct Api {
    client: Client,
    token: Option<BearerToken>,
    remote: Remote,
}

pub struct ApiResponse {
    /// The body, JSON as it came; empty when there is none.
    pub body: String,
    json: bool,
}

impl Remote {
    /// Returns a gateway that is asked without a token, for tests.
    #[cfg(test)]
    pub fn of(url: &str) -> Self {
        Self {
            url: parse_url(url).expect("a URL"),
            token: None,
            token_file: None,
            ca_file: None,
            timeout: None,
            json: false,
            socket: None,
        }
    }

    pub fn open(self) -> Result<Api, CommandError> {
        let builder = Client::builder()
            .timeout(self.patience())
            .no_proxy()
            .tls_backend_preconfigured(self.tls()?.as_ref().clone())
            .user_agent(concat!("galley/", env!("CARGO_PKG_VERSION")));
        let builder = builder.default_headers(reader_language().collect());
        let builder =
            self.socket.iter().fold(builder, |builder, path| builder.unix_socket(path.as_path()));
        Ok(Api {
            client: builder.build().map_err(CommandError::failed)?,
            token: self.bearer()?,
            remote: self,
        })
    }

    /// Returns the token, read anew from its file, which may contain another one by now.
    pub fn bearer(&self) -> Result<Option<BearerToken>, CommandError> {
        let (text, place) = match (&self.token_file, &self.token) {
            (Some(path), _) if !path.as_os_str().is_empty() => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    CommandError::usage(format!(
                        "cannot read the token file {}: {}",
                        path.display(),
                        plain(&error)
                    ))
                })?;
                (text, format!("the token in {}", path.display()))
            }
            (_, Some(token)) if !token.reveal().is_empty() => {
                (token.reveal().to_owned(), "the token".to_owned())
            }
            (_, _) => return Ok(None),
        };
        BearerToken::parse(text.trim())
            .map(Some)
            .map_err(|error| CommandError::usage(format!("{place} {error}")))
    }

    /// Returns the TLS settings for this gateway.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, CommandError> {
        if self.url.scheme() == "http" {
            return Ok(no_tls());
        }
        let path = self.ca_file.as_deref().filter(|path| !path.as_os_str().is_empty());
        tls_client(path).map_err(CommandError::usage)
    }

    /// Returns the time limit of an answer.
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// Returns the URL of a path of the gateway, whose own URL may have a path.
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// Returns the gateway's address, for messages.
    pub fn name(&self) -> &str {
        let socket = self.socket.as_deref().and_then(std::path::Path::to_str);
        socket.unwrap_or_else(|| self.url.as_str().trim_end_matches('/'))
    }

    /// Describes a failure to reach the gateway: the cause, the address, and the remedy.
    pub fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> CommandError {
        let (why, hint) = diagnose(error);
        CommandError::local(
            Exit::Unreachable,
            format!("cannot reach {}: {why}; {hint}", self.name()),
        )
    }

    /// Describes the failure of a gateway that takes too long.
    pub fn silent(&self) -> CommandError {
        let waited = humantime::format_duration(self.patience());
        let text = format!(
            "{} did not answer within {waited}; --timeout sets how long to wait",
            self.name()
        );
        CommandError::local(Exit::Unreachable, text)
    }
}

/// Returns the header that names the language of the user, as the locale says.
pub fn reader_language() -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let variables = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
    let locale =
        variables.filter_map(|name| std::env::var(name).ok()).find(|text| !text.is_empty());
    let tag = locale.and_then(|locale| Some(locale.split(['.', '@']).next()?.replace('_', "-")));
    let value = tag.and_then(|tag| HeaderValue::try_from(tag).ok());
    value.map(|value| (ACCEPT_LANGUAGE, value)).into_iter()
}

impl Api {
    /// Creates a request to a path.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.remote.at(path));
        match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    /// Like [`Api::request`], but carried out only if the resource has this version; `None` for any
    /// version.
    pub fn guarded(&self, method: Method, path: &str, version: Option<i32>) -> RequestBuilder {
        let request = self.request(method, path);
        match version {
            Some(version) => request.header(IF_MATCH, Version(version).etag()),
            None => request,
        }
    }

    /// Sends a request. Any answer other than a success is an error.
    pub async fn ask(&self, request: RequestBuilder) -> Result<ApiResponse, CommandError> {
        let (status, answer) = self.send(request).await?;
        if status.is_success() {
            Ok(answer)
        } else {
            Err(CommandError::answered(status.as_u16(), &answer.body))
        }
    }

    /// Sends a request for a resource. Returns `None` if it does not exist, or if this caller may
    /// not see it.
    pub async fn find(&self, request: RequestBuilder) -> Result<Option<ApiResponse>, CommandError> {
        let (status, answer) = self.send(request).await?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            _ if status.is_success() => Ok(Some(answer)),
            _ => Err(CommandError::answered(status.as_u16(), &answer.body)),
        }
    }

    /// Returns the gateway and its options.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, ApiResponse), CommandError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.text().await.map_err(|error| self.unreachable(&error))?;
        Ok((status, ApiResponse { body, json: self.remote.json }))
    }

    fn unreachable(&self, error: &reqwest::Error) -> CommandError {
        if error.is_timeout() { self.remote.silent() } else { self.remote.unreachable(error) }
    }
}

impl ApiResponse {
    /// Prints the answer: the JSON as it came, or the text that `show` makes of it.
    pub fn print<T: DeserializeOwned>(
        self,
        show: impl FnOnce(T) -> String,
    ) -> Result<(), CommandError> {
        if !self.json {
            return output::print(&show(self.read()?));
        }
        self.read::<IgnoredAny>()?;
        output::print(&self.body)
    }

    /// Prints a message for an answer without data; with `--json` nothing.
    pub fn done(&self, message: &str) -> Result<(), CommandError> {
        if self.json { Ok(()) } else { output::print(message) }
    }

    /// Parses the body.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CommandError> {
        serde_json::from_str(&self.body).map_err(|error| {
            CommandError::failed(format_args!(
                "the answer is not that of a Galley gateway: {error}; check --url"
            ))
        })
    }
}

/// Returns the innermost error in plain words, and its remedy.
fn diagnose(error: &(dyn std::error::Error + 'static)) -> (String, &'static str) {
    let mut cause = error;
    let mut kind = None;
    let mut lookup = false;
    let mut tls = None;
    loop {
        tls = tls.or(tls_failure(cause));
        kind = kind.or(cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
        lookup |= cause.to_string().contains("lookup address");
        match cause.source() {
            Some(inner) => cause = inner,
            None => break,
        }
    }
    if let Some(failure) = tls {
        return failure;
    }
    let hint = match kind {
        _ if lookup => "check the host name in --url",

        Some(std::io::ErrorKind::ConnectionRefused) => {
            "is galley running? `galley` starts it, --url names another gateway"
        }
        _ => "check that --url names a Galley gateway",
    };
    (plain(cause), hint)
}

/// Formats an error of the system as part of a sentence, without its number.
fn plain(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// Returns the failure of a TLS handshake in plain words, and its remedy.
fn tls_failure(error: &(dyn std::error::Error + 'static)) -> Option<(String, &'static str)> {
    let Some(error) = error.downcast_ref::<rustls::Error>() else {
        // An error of input and output does not name the error that it holds as its source.
        return tls_failure(error.downcast_ref::<std::io::Error>()?.get_ref()?);
    };
    let hint = if matches!(error, rustls::Error::InvalidMessage(_)) {
        "does it speak TLS? http:// is without"
    } else {
        "--ca-file names the authorities to trust"
    };
    Some((plain(error), hint))
}

/// Parses an `http://` or `https://` URL.
fn parse_url(text: &str) -> Result<Url, String> {
    const EXAMPLE: &str = "for example http://127.0.0.1:8080";
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Err(error) if text.starts_with("http://") || text.starts_with("https://") => {
            Err(format!("is not a URL: {error}; it must be http://HOST:PORT, {EXAMPLE}"))
        }
        Ok(_) | Err(_) => Err(format!("must begin with http:// or https://, {EXAMPLE}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Remote, parse_url};

    #[test]
    fn only_http_is_spoken() {
        assert!(parse_url("http://[::1]:8080").is_ok() && parse_url("https://example.org").is_ok());
        for wrong in ["ftp://example.org", "localhost:8080", "127.0.0.1:8080", "example.org", ""] {
            assert!(
                parse_url(wrong)
                    .expect_err(wrong)
                    .starts_with("must begin with http:// or https://"),
                "{wrong:?}"
            );
        }
        assert!(parse_url("http://").expect_err("no host").contains("http://HOST:PORT"));
    }

    #[test]
    fn a_gateway_may_lie_under_a_path() {
        for (base, expected) in [
            ("http://a:1", "http://a:1/heroes/7"),
            ("http://a:1/", "http://a:1/heroes/7"),
            ("http://a:1/galley/", "http://a:1/galley/heroes/7"),
        ] {
            assert_eq!(Remote::of(base).at("/heroes/7").as_str(), expected);
        }
    }
}
