//! `galley-load agent`: opens the sockets of a test whose coordinator runs on another machine.
//!
//! Each connection of a coordinator gets an engine of its own, a child process. The engine ends
//! with the connection, and the connection with the engine.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use galley_protocol::harmless::harmless_line;

use crate::agent_link;
use crate::fleet::start_engine;
use crate::load_failure::LoadFailure;

/// Maximum engines at once; a further coordinator is sent away.
const MAX_ENGINES: usize = 64;

/// Opens the sockets of load tests whose coordinators run on other machines: there name this
/// address with --agents.
///
/// It opens sockets anywhere for all who can connect. The connection is not encrypted, and
/// contains the tokens of the test: use a private network or a tunnel.
#[derive(Debug, Parser)]
#[command(name = "galley-load agent", version)]
pub struct AgentArguments {
    /// Address at which coordinators connect; beyond the loopback it needs a secret
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// File of a secret of at least 16 bytes that coordinators must know
    #[arg(long, value_name = "PATH")]
    secret_file: Option<PathBuf>,
}

/// Serves coordinators until the process is ended.
pub fn run(arguments: &AgentArguments) -> Result<(), LoadFailure> {
    let secret = agent_link::secret(arguments.secret_file.as_deref())?;
    if secret.is_none() && !arguments.listen.ip().is_loopback() {
        return Err(LoadFailure::Usage(format!(
            "everybody can reach {}: add --secret-file, or listen on 127.0.0.1",
            arguments.listen
        )));
    }
    let files = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| LoadFailure::failed("cannot read the limit of open files", &error))?;
    let listener = TcpListener::bind(arguments.listen).and_then(|listener| {
        let place = listener.local_addr()?;
        Ok((listener, place))
    });
    let (listener, place) = listener.map_err(|error| {
        LoadFailure::failed(&format!("cannot listen on {}", arguments.listen), &error)
    })?;
    say(&format!("waiting for coordinators at {place}"));
    let (secret, engines) = (Arc::new(secret), Arc::new(AtomicUsize::new(0)));
    loop {
        let Ok((stream, peer)) = listener.accept() else {
            // Out of files, perhaps: let others give some back.
            std::thread::sleep(std::time::Duration::from_millis(100));
            continue;
        };
        if engines.load(Ordering::Relaxed) >= MAX_ENGINES {
            say(&format!("sent {peer} away: {MAX_ENGINES} engines run already"));
            continue;
        }
        engines.fetch_add(1, Ordering::Relaxed);
        let (secret, engines) = (Arc::clone(&secret), Arc::clone(&engines));
        std::thread::spawn(move || {
            match serve(stream, secret.as_deref(), files) {
                Ok(true) => say(&format!("the test of {peer} is over")),
                Ok(false) => say(&format!("refused {peer}: another secret or version")),
                Err(error) => say(&format!("the connection of {peer}: {error}")),
            }
            engines.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Runs an engine for a coordinator. Returns false if the coordinator was refused.
fn serve(stream: TcpStream, secret: Option<&str>, files: u64) -> std::io::Result<bool> {
    let Some(mut reader) = agent_link::answer(stream, secret, files)? else { return Ok(false) };
    let mut output = reader.get_ref().try_clone()?;
    // A coordinator says nothing for most of the test.
    output.set_read_timeout(None)?;
    let mut engine = start_engine()?;
    let mut orders = engine.stdin.take().expect("it is piped");
    let mut messages = engine.stdout.take().expect("it is piped");
    // Ends with the connection; the engine ends when its input is closed.
    let orders = std::thread::spawn(move || drop(pass_on(&mut reader, &mut orders)));
    let sent = pass_on(&mut messages, &mut output);
    // The coordinator may have closed it already.
    let _ = output.shutdown(Shutdown::Both);
    let _ = orders.join();
    // It has ended, or its coordinator is gone.
    let _ = engine.kill();
    engine.wait()?;
    sent.map(|()| true)
}

/// Writes what comes at once. `std::io::copy` would splice, and a pipe that is spliced into may
/// leave its reader asleep until more comes.
fn pass_on(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            length => to.write_all(&buffer[..length]).and_then(|()| to.flush())?,
        }
    }
}

fn say(line: &str) {
    // A closed standard error does not end the agent.
    let _ = writeln!(std::io::stderr(), "{}", harmless_line(line));
}
