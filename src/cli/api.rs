//! Speaks to a gateway over its public HTTP API.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use galley_launch::{Failure, Hidden};
use galley_protocol::{BearerToken, Version};
use reqwest::header::IF_MATCH;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::output;
use super::problem::explain;

/// Which gateway, and how to show its answers.
#[derive(Args, Clone, Debug)]
pub struct Remote {
    /// The gateway
    #[arg(long, env = "GALLEY_URL", value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    pub url: Url,
    /// Who asks, for a gateway that wants to know; other users of the machine may see it among the arguments, so set the variable or
    /// name a file
    #[arg(long, env = "GALLEY_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<Hidden>,
    /// A file that holds the token
    #[arg(long, env = "GALLEY_TOKEN_FILE", value_name = "PATH", hide_env_values = true, conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// How long to wait for an answer
    #[arg(long, env = "GALLEY_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = output::parse_duration)]
    pub timeout: Duration,
    /// Print what the gateway answers, as JSON
    #[arg(long)]
    pub json: bool,
}

/// A gateway.
pub struct Api {
    client: Client,
    token: Option<BearerToken>,
    remote: Remote,
}

/// A good answer.
pub struct Answer {
    /// The body, JSON as it came; empty when there is none.
    pub body: String,
    json: bool,
}

impl Remote {
    /// Prepares to ask.
    pub fn open(self) -> Result<Api, Failure> {
        let builder =
            Client::builder().timeout(self.timeout).no_proxy().user_agent(concat!("galley/", env!("CARGO_PKG_VERSION")));
        Ok(Api { client: builder.build().map_err(Failure::failed)?, token: self.bearer()?, remote: self })
    }

    /// The token, as it is now: a file may hold a new one.
    pub fn bearer(&self) -> Result<Option<BearerToken>, Failure> {
        let text = match (&self.token_file, &self.token) {
            (Some(path), _) if !path.as_os_str().is_empty() => std::fs::read_to_string(path)
                .map_err(|error| Failure::Usage(format!("cannot read the token in {}: {error}", path.display())))?,
            (_, Some(token)) if !token.reveal().is_empty() => token.reveal().to_owned(),
            (_, _) => return Ok(None),
        };
        BearerToken::parse(text.trim()).map(Some).map_err(|error| Failure::Usage(format!("the token {error}")))
    }

    /// The address of a path under the gateway, which may itself lie under a path.
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// The gateway's address, for messages.
    pub fn name(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

impl Api {
    /// A request to a path.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.remote.at(path));
        match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    /// The same, to be carried out only while the thing has this version.
    pub fn guarded(&self, method: Method, path: &str, version: Option<i32>) -> RequestBuilder {
        let request = self.request(method, path);
        match version {
            Some(version) => request.header(IF_MATCH, Version(version).etag()),
            None => request,
        }
    }

    /// Asks; an answer that is not good is a failure that says in one line why.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let (status, answer) = self.send(request).await?;
        if status.is_success() { Ok(answer) } else { Err(refused(status, &answer.body)) }
    }

    /// The same for something that may not be there, or not for whoever asks: nothing then.
    pub async fn find(&self, request: RequestBuilder) -> Result<Option<Answer>, Failure> {
        let (status, answer) = self.send(request).await?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            _ if status.is_success() => Ok(Some(answer)),
            _ => Err(refused(status, &answer.body)),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Answer), Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.text().await.map_err(|error| self.unreachable(&error))?;
        Ok((status, Answer { body, json: self.remote.json }))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let url = self.remote.name();
        if error.is_timeout() {
            return Failure::Failed(format!("{url} did not answer within {:?}", self.remote.timeout));
        }
        Failure::Failed(format!("cannot reach {url}: {}", root_cause(error)))
    }
}

impl Answer {
    /// Prints the answer: the JSON as it came, or what `show` makes of it.
    pub fn print<T: DeserializeOwned>(self, show: impl FnOnce(T) -> String) -> Result<(), Failure> {
        if self.json { output::print(&self.body) } else { output::print(&show(self.read()?)) }
    }

    /// Tells of an answer that holds no data: nothing to print for programs.
    pub fn done(&self, message: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { output::print(message) }
    }

    /// What the body says.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.body)
            .map_err(|error| Failure::Failed(format!("the answer is not what this program understands: {error}")))
    }
}

/// What an answer that is not good says: its problem, or the beginning of whatever a proxy put in its place.
fn refused(status: StatusCode, body: &str) -> Failure {
    let beginning = || body.chars().take(300).collect::<String>();
    Failure::Failed(explain(body).unwrap_or_else(|| format!("the answer is {status} {}", beginning())))
}

/// The innermost error says it best: "Connection refused".
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// This program speaks no TLS: a gateway stands on the same machine, or behind a proxy that has its own tools.
fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" => Ok(url),
        _ => Err("must begin with http://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Remote, parse_url};

    #[test]
    fn only_plain_http_is_spoken() {
        assert!(parse_url("http://[::1]:8080").is_ok());
        for wrong in ["https://example.org", "localhost:8080", "example.org", ""] {
            assert!(parse_url(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_gateway_may_lie_under_a_path() {
        for (base, expected) in [
            ("http://a:1", "http://a:1/heroes/7"),
            ("http://a:1/", "http://a:1/heroes/7"),
            ("http://a:1/galley/", "http://a:1/galley/heroes/7"),
        ] {
            let url = parse_url(base).expect("a URL");
            let remote = Remote { url, token: None, token_file: None, timeout: std::time::Duration::from_secs(1), json: false };
            assert_eq!(remote.at("/heroes/7").as_str(), expected);
        }
    }
}
