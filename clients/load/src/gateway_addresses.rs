//! The addresses of the tested gateways, and their names for TLS.

use std::net::{SocketAddr, ToSocketAddrs as _};

use reqwest::Url;
use rustls::pki_types::ServerName;

use crate::load_arguments::LoadArguments;
use crate::load_failure::LoadFailure;
use crate::plan::TlsPlan;

/// Resolves the gateways, and checks that they are alike.
pub fn resolve(arguments: &LoadArguments) -> Result<Vec<SocketAddr>, LoadFailure> {
    let differ = |part: fn(&Url) -> &str| {
        arguments.url.iter().any(|url| part(url) != part(&arguments.url[0]))
    };
    let usage = |text: &str| Err(LoadFailure::Usage(text.to_owned()));
    if differ(Url::path) {
        return usage("the gateways of --url must all have the same path");
    }
    if differ(Url::scheme) {
        return usage("the gateways of --url must all be http:// or all https://");
    }
    arguments.url.iter().map(first_address).collect()
}

/// Returns TLS of the gateways; `None` if they are at `http://`.
pub fn tls(arguments: &LoadArguments) -> Result<Option<TlsPlan>, LoadFailure> {
    if arguments.url[0].scheme() == "http" {
        return Ok(None);
    }
    let name = |url: &Url| {
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        match ServerName::try_from(name.clone()) {
            Ok(_) => Ok(name),
            Err(_) => Err(LoadFailure::Usage(format!("no certificate can be for `{name}`"))),
        }
    };
    let ca_file = arguments.ca_file.clone().filter(|path| !path.as_os_str().is_empty());
    let names = arguments.url.iter().map(name).collect::<Result<_, _>>()?;
    Ok(Some(TlsPlan { names, ca_file }))
}

/// Resolves the host of a gateway's URL to its first address.
fn first_address(url: &Url) -> Result<SocketAddr, LoadFailure> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(80);
    let mut found = (host, port)
        .to_socket_addrs()
        .map_err(|error| LoadFailure::failed(&format!("{host} is not known"), &error))?;
    found.next().ok_or_else(|| LoadFailure::Failed(format!("{host} has no address")))
}

/// Returns the `Host` header of a gateway.
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
