//! The connection of a coordinator to an agent: a line from each side, then the lines of an engine.
//!
//! Plans contain tokens, and nothing here is encrypted: it is for a private network or a tunnel.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};

use crate::load_failure::LoadFailure;
use crate::load_host::LoadHost;

/// The version of this program and of the lines; those of both sides must be equal.
const VERSION: (&str, u32) = (env!("CARGO_PKG_VERSION"), 1);
/// Timeout of a connection and of its first lines.
const PATIENCE: Duration = Duration::from_secs(10);
/// Silence after which the other side counts as gone. An engine sends a line each second.
pub const SILENCE: Duration = Duration::from_secs(20);
/// Maximum bytes of a first line.
const MAX_LINE: u64 = 4_096;

/// The first line of a coordinator.
#[derive(Debug, Serialize, Deserialize)]
pub struct AgentCall {
    version: String,
    lines: u32,
    secret: Option<String>,
}

/// The first line of an agent.
#[derive(Debug, Serialize, Deserialize)]
pub struct AgentAnswer {
    pub host: LoadHost,
    /// The files that an engine may open.
    pub files: u64,
    /// The reason for which the agent closes the connection.
    pub refused: Option<String>,
}

/// Connects to an agent.
pub fn call(
    address: &str,
    secret: Option<&str>,
) -> Result<(BufReader<TcpStream>, AgentAnswer), LoadFailure> {
    let failed = |why: &dyn std::fmt::Display| {
        LoadFailure::Failed(format!(
            "cannot reach the agent at {address}: {why}; start one there with `galley-load agent`"
        ))
    };
    let found = address.to_socket_addrs().map_err(|error| failed(&error))?.next();
    let place = found.ok_or_else(|| failed(&"it has no address"))?;
    let stream = TcpStream::connect_timeout(&place, PATIENCE).map_err(|error| failed(&error))?;
    let mut reader = prepare(stream).map_err(|error| failed(&error))?;
    let (version, lines) = VERSION;
    let secret = secret.map(str::to_owned);
    let call = AgentCall { version: version.to_owned(), lines, secret };
    let answer = say(reader.get_mut(), &call).and_then(|()| hear::<AgentAnswer>(&mut reader));
    let answer = answer.map_err(|error| failed(&error))?;
    match &answer.refused {
        Some(why) => Err(LoadFailure::Failed(format!("the agent at {address} refused: {why}"))),
        None => Ok((reader, answer)),
    }
}

/// Answers a coordinator. Returns `None` if it was refused.
pub fn answer(
    stream: TcpStream,
    secret: Option<&str>,
    files: u64,
) -> std::io::Result<Option<BufReader<TcpStream>>> {
    let mut reader = prepare(stream)?;
    let call: AgentCall = hear(&mut reader)?;
    let refused = if !secret.is_none_or(|own| is_same(own, call.secret.as_deref())) {
        Some("it asks for another secret: name its file with --agent-secret-file".to_owned())
    } else if (call.version.as_str(), call.lines) == VERSION {
        None
    } else {
        let (own, _) = VERSION;
        Some(format!("it is galley-load {own}, and this is {}: use the same", call.version))
    };
    let is_refused = refused.is_some();
    say(reader.get_mut(), &AgentAnswer { host: LoadHost::here(), files, refused })?;
    Ok((!is_refused).then_some(reader))
}

/// Reads the secret of a file.
pub fn secret(path: Option<&Path>) -> Result<Option<String>, LoadFailure> {
    let Some(path) = path else { return Ok(None) };
    let cannot =
        |why: &str| LoadFailure::Usage(format!("the secret file {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| cannot(&error.to_string()))?;
    match text.trim() {
        short if short.len() < 16 => Err(cannot("it must have at least 16 bytes")),
        secret => Ok(Some(secret.to_owned())),
    }
}

/// Compares secrets in the same time wherever they differ.
fn is_same(own: &str, other: Option<&str>) -> bool {
    let other = other.unwrap_or_default();
    let pairs = own.bytes().zip(other.bytes());
    own.len() == other.len() && pairs.fold(0, |wrong, (one, other)| wrong | one ^ other) == 0
}

fn prepare(stream: TcpStream) -> std::io::Result<BufReader<TcpStream>> {
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    let probes = TcpKeepalive::new().with_time(SILENCE / 4).with_interval(SILENCE / 4);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

fn say(stream: &mut TcpStream, line: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn hear<T: for<'a> Deserialize<'a>>(reader: &mut BufReader<TcpStream>) -> std::io::Result<T> {
    let mut line = Vec::new();
    reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    serde_json::from_slice(&line).map_err(|_| std::io::Error::other("it is no galley-load agent"))
}
