//! The baseline of frames per second: writes the bytes of one update to as many plain TCP sockets,
//! one write each, without a gateway.
//!
//! Writer and reader are two processes, like gateway and load test: this program starts itself
//! again as the reader. The sockets are split among as many threads as there are cores.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use mio::{Events, Interest, Poll, Token};
use serde_json::json;

/// Writes frames to plain TCP sockets
#[derive(Parser)]
struct FramesArguments {
    /// Sockets
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Bytes of a frame with its head; an update of an order has about 330
    #[arg(long, default_value_t = 330)]
    bytes: usize,
    /// How long frames are written, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Reads what comes from this address instead
    #[arg(long, hide = true)]
    read: Option<SocketAddr>,
}

fn main() -> anyhow::Result<()> {
    let arguments = FramesArguments::parse();
    match arguments.read {
        Some(address) => read(address, arguments.sockets),
        None => write(&arguments),
    }
}

fn write(arguments: &FramesArguments) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?.to_string();
    let count = arguments.sockets.to_string();
    let reading = ["--read", &address, "--sockets", &count];
    let mut reader = Command::new(std::env::current_exe()?)
        .args(reading)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut sockets = Vec::with_capacity(arguments.sockets);
    for _ in 0..arguments.sockets {
        let (socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let threads = std::thread::available_parallelism()?.get().min(sockets.len());
    let written = Arc::new(AtomicU64::new(0));
    let writing = Arc::new(AtomicBool::new(true));
    let begin = Instant::now();
    let mut writers = Vec::new();
    while !sockets.is_empty() {
        let part = sockets
            .split_off(sockets.len() - arguments.sockets.div_ceil(threads).min(sockets.len()));
        let (written, writing, bytes) =
            (Arc::clone(&written), Arc::clone(&writing), arguments.bytes);
        writers.push(std::thread::spawn(move || {
            let frame = vec![b'x'; bytes];
            while writing.load(Ordering::Relaxed) {
                for mut socket in &part {
                    socket.write_all(&frame)?;
                }
                written.fetch_add(part.len() as u64, Ordering::Relaxed);
            }
            std::io::Result::Ok(part)
        }));
    }
    std::thread::sleep(Duration::from_secs(arguments.seconds));
    writing.store(false, Ordering::Relaxed);
    let mut open = Vec::new();
    for writer in writers {
        open.extend(writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??);
    }
    drop(open); // the reader ends when every socket is closed
    let mut read = String::new();
    reader.stdout.take().context("it is piped")?.read_to_string(&mut read)?;
    let elapsed = begin.elapsed();
    ensure!(reader.wait()?.success(), "the reader failed");
    let (read, frames): (u64, u64) = (read.trim().parse()?, written.load(Ordering::Relaxed));
    ensure!(read == frames * arguments.bytes as u64, "{read} bytes were read of {frames} frames");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let a_second = (frames as f64 / elapsed.as_secs_f64()).round();
    println!(
        "{}",
        json!({"sockets": arguments.sockets, "bytes": arguments.bytes, "frames_per_s": a_second})
    );
    Ok(())
}

/// Reads everything from all sockets and prints the number of bytes.
fn read(address: SocketAddr, sockets: usize) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut streams = Vec::with_capacity(sockets);
    for index in 0..sockets {
        let stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        streams.push(stream);
    }
    let (mut open, mut bytes, mut buffer) = (sockets, 0, vec![0; 64 * 1_024]);
    let mut events = Events::with_capacity(1_024);
    while open > 0 {
        poll.poll(&mut events, None)?;
        for event in &events {
            loop {
                match streams[event.token().0].read(&mut buffer) {
                    Ok(0) => {
                        open -= 1;
                        poll.registry().deregister(&mut streams[event.token().0])?;
                        break;
                    }
                    Ok(length) => bytes += length as u64,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    println!("{bytes}");
    Ok(())
}
