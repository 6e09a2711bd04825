//! Where a gateway takes sockets, and how one is opened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use galley_protocol::{BearerToken, HeroId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use tokio_tungstenite::tungstenite::http::{HeaderMap, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use crate::ClientError;

/// An open socket.
pub type ClientSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The sockets of a gateway for one hero, or for staff.
#[derive(Clone, Debug)]
pub struct SocketTarget {
    address: String,
    hero: Option<HeroId>,
    tls: Option<Arc<ClientConfig>>,
}

/// Why a socket could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The gateway answered, and opened none.
    #[error("the gateway answers {status}")]
    Answered {
        /// The status.
        status: u16,
        /// The body, a problem most often.
        body: String,
        /// The seconds of `Retry-After`.
        retry_after: Duration,
    },
    /// Nobody can be reached, or TLS fails.
    #[error(transparent)]
    Failed(Box<Error>),
    /// No answer came in time.
    #[error("no answer to the handshake came in time")]
    Late,
}

impl SocketTarget {
    /// Checks the address of a gateway. Without `tls`, `https` trusts the authorities of the system.
    ///
    /// # Errors
    /// [`ClientError::BadOption`] for an address that cannot be right, or if the system has no
    /// authorities.
    pub fn new(
        url: &str,
        hero: Option<HeroId>,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, ClientError> {
        let address = socket_address(url).ok_or_else(|| {
            let forms = "http://, https://, ws:// or wss://, a host, and perhaps a port and a path";
            ClientError::BadOption(format!(
                "the address of the gateway is not of this form: {forms}"
            ))
        })?;
        let secure = address.starts_with("wss:");
        let tls = if secure { Some(tls.map_or_else(|| trusting(None), Ok)?) } else { None };
        Ok(Self { address, hero, tls })
    }

    /// Returns the address of a socket that resumes at this cursor.
    #[must_use]
    pub fn at(&self, cursor: Option<&str>) -> String {
        let hero = self.hero.map(|hero| format!("hero_id={hero}"));
        let cursor = cursor
            .map(|cursor| format!("cursor={}", utf8_percent_encode(cursor, NON_ALPHANUMERIC)));
        let query: Vec<_> = hero.into_iter().chain(cursor).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.address, query.join("&"))
    }

    /// Opens a socket.
    ///
    /// # Errors
    /// [`OpenError`]: the caller decides whether to come back.
    pub async fn open(
        &self,
        cursor: Option<&str>,
        token: Option<&BearerToken>,
        max_frame: usize,
        patience: Duration,
    ) -> Result<ClientSocket, OpenError> {
        let failed = |error| OpenError::Failed(Box::new(error));
        let mut request = self.at(cursor).into_client_request().map_err(failed)?;
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {}", token.reveal()))
                .expect("a token is of few characters");
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(max_frame))
            .max_frame_size(Some(max_frame));
        let connector = self.tls.clone().map_or(Connector::Plain, Connector::Rustls);
        let opening = connect_async_tls_with_config(request, Some(config), true, Some(connector));
        match timeout(patience, Box::pin(opening)).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(Error::Http(response))) => {
                let (head, body) = response.into_parts();
                let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
                let retry_after = retry_after(&head.headers);
                Err(OpenError::Answered { status: head.status.as_u16(), body, retry_after })
            }
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(OpenError::Late),
        }
    }
}

impl OpenError {
    /// Returns true if the other side is not to be trusted.
    #[must_use]
    pub fn is_untrusted(&self) -> bool {
        let Self::Failed(error) = self else { return false };
        let of_tls = |error: &std::io::Error| {
            error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
        };
        matches!(&**error, Error::Tls(_)) || matches!(&**error, Error::Io(error) if of_tls(error))
    }
}

/// Returns TLS settings that trust the authorities of this PEM file alone, or without a file those
/// of the system.
///
/// # Errors
/// [`ClientError::BadOption`] if there are none.
pub fn trusting(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, ClientError> {
    let bad = |what: &str, why: &dyn std::fmt::Display| {
        ClientError::BadOption(format!("{what} holds no certificates of authorities: {why}"))
    };
    let roots = match ca_file {
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| bad(&path.display().to_string(), &error))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    if store.add_parsable_certificates(roots).0 == 0 {
        let place =
            ca_file.map_or_else(|| "this system".to_owned(), |path| path.display().to_string());
        return Err(bad(&place, &"there is none"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad("TLS", &error))?;
    Ok(Arc::new(config.with_root_certificates(store).with_no_client_auth()))
}

fn socket_address(url: &str) -> Option<String> {
    let parts: Uri = url.parse().ok()?;
    let scheme = match parts.scheme_str()? {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        _ => return None,
    };
    let authority = parts.authority()?;
    let port = authority.as_str().strip_prefix(authority.host())?;
    let good_port = port.is_empty() || authority.port_u16().is_some_and(|port| port > 0);
    let good = !authority.host().is_empty() && good_port && parts.query().is_none();
    (good && !url.contains(['@', '#']))
        .then(|| format!("{scheme}://{authority}{}/ws", parts.path().trim_end_matches('/')))
}

/// Returns the seconds of `Retry-After`; a date there counts as none.
fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use galley_protocol::HeroId;

    use super::{SocketTarget, socket_address};

    #[test]
    fn the_address_of_a_socket_lies_below_that_of_the_gateway() {
        for (url, address) in [
            ("http://a", "ws://a/ws"),
            ("https://a:1/b/", "wss://a:1/b/ws"),
            ("ws://[::1]:8080", "ws://[::1]:8080/ws"),
        ] {
            assert_eq!(socket_address(url).as_deref(), Some(address));
        }
        for url in [
            "",
            "a",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:99999",
            "http://me:word@a",
            "http://a/?b",
            "http://a/#b",
            "http://a b",
        ] {
            assert_eq!(socket_address(url), None, "{url}");
        }
    }

    #[test]
    fn a_hero_resumes_with_the_cursor() {
        let hero = Some(HeroId::new(7).expect("an id"));
        let target = SocketTarget::new("http://a:1", hero, None).expect("an address");
        assert_eq!(target.at(None), "ws://a:1/ws?hero_id=7");
        assert_eq!(target.at(Some("a&b")), "ws://a:1/ws?hero_id=7&cursor=a%26b");
        let staff = SocketTarget::new("http://a:1", None, None).expect("an address");
        assert_eq!(staff.at(None), "ws://a:1/ws");
    }
}
