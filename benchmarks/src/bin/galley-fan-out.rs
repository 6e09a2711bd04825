//! What one update costs that goes to many sockets, and how many frames a second a gateway sends, against the floor of the same
//! bytes written to as many plain TCP sockets by another process.
//!
//! Updates are published straight on the bus, as a worker would. Without a rate, gateway and floor take turns: an update is published
//! or the floor is told to write, and nothing more happens until the last socket has it. With a rate, updates are published at it,
//! whatever becomes of them; on some of the sockets every frame is looked at.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Parser;
use galley_bus::{BusConfig, SharedBus};
use galley_protocol::{HeroId, MealId, Order, OrderId, Status, Timestamp, Update, Version};
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};

/// Measures how fast an update comes to many sockets
#[derive(Parser)]
struct Arguments {
    /// Address of the gateway
    #[arg(long, required_unless_present = "write")]
    gateway: Option<SocketAddr>,
    /// The bus on which it hears updates
    #[arg(long, env = "REDIS_URL")]
    redis_url: Option<String>,
    /// The hero whose sockets are told
    #[arg(long, default_value_t = 1)]
    hero: i64,
    /// Sockets
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Updates that go one by one
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Updates a second instead, for `--seconds`
    #[arg(long)]
    rate: Option<u32>,
    /// How long, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Is the floor instead: writes so many bytes to each socket, from as many threads as each line says that it reads
    #[arg(long, hide = true)]
    write: Option<usize>,
}

/// Sockets of which every frame is looked at.
const LOOKED_AT: usize = 16;
/// Updates that are published at once and not counted, before anything is measured.
const WARM_UP: usize = 10;
/// A gateway that hears a publisher for the first time, or not any more, reads the database in place of what waits for its sockets; these
/// updates are in none. Within this time it has done so for us, and for whoever published before us.
const SETTLED: Duration = Duration::from_secs(8);
/// From one look for what has come to the next.
const LOOK: Duration = Duration::from_micros(100);
/// How long an update may take to come to the last socket.
const PATIENCE: Duration = Duration::from_mins(1);

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(bytes) = arguments.write {
        return write(arguments.sockets, bytes);
    }
    // A thread of its own: whoever publishes must say every second that it lives, whatever is read meanwhile.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let url = arguments.redis_url.clone();
    let bus = runtime.block_on(galley_bus::connect(&BusConfig { url, ..BusConfig::default() }))?;
    let publisher = Publisher { runtime, bus, hero: HeroId::new(arguments.hero).context("a hero")?, made: 0 };
    let gateway = arguments.gateway.context("--gateway")?;
    let mut sockets = Sockets::new()?;
    for _ in 0..arguments.sockets {
        sockets.add(upgrade(gateway, arguments.hero)?)?;
    }
    match arguments.rate {
        None => in_turns(&arguments, publisher, sockets),
        Some(rate) => at_rate(&arguments, rate, publisher, sockets),
    }
}

/// One update at a time.
fn in_turns(arguments: &Arguments, mut publisher: Publisher, mut sockets: Sockets) -> anyhow::Result<()> {
    let bytes = wire_length(&publisher.next()?);
    let all = arguments.sockets * bytes;
    let mut floor = Floor::start(arguments.sockets, bytes)?;
    let (mut ours, mut floors) = (Vec::new(), [const { Vec::new() }; 2]);
    for _ in 0..WARM_UP + arguments.rounds {
        // Ours before each of the floors: what the caches hold of the one was last used before the other, and never twice in a row.
        for (threads, times) in [1, cores()?].into_iter().zip(&mut floors) {
            let update = publisher.next()?;
            let begin = Instant::now();
            publisher.publish(&[update])?;
            sockets.read(all)?;
            ours.push(begin.elapsed());
            let begin = Instant::now();
            writeln!(floor.orders, "{threads}")?;
            floor.sockets.read(all)?;
            times.push(begin.elapsed());
        }
    }
    let ours = median(ours[floors.len() * WARM_UP..].to_vec());
    let [one_thread, all_cores] = floors.map(|times| median(times[WARM_UP..].to_vec()));
    let a_second = |time: Duration| (per_second(arguments.sockets, time)).round();
    println!(
        "{}",
        json!({
            "sockets": arguments.sockets,
            "bytes": bytes,
            "to_all_ms": ours.as_secs_f64() * 1_000.0,
            "frames_per_s": a_second(ours),
            "floor_frames_per_s": a_second(one_thread),
            "floor_frames_per_s_of_all_cores": a_second(all_cores),
        })
    );
    floor.end()
}

/// Updates at a rate.
fn at_rate(arguments: &Arguments, rate: u32, mut source: Publisher, mut sockets: Sockets) -> anyhow::Result<()> {
    let first = source.next()?;
    let bytes = wire_length(&first);
    source.publish(&[first])?;
    sockets.read(bytes * arguments.sockets)?;
    std::thread::sleep(SETTLED);
    sockets.look_at(LOOKED_AT);
    let all = u64::from(rate) * arguments.seconds;
    let frames = usize::try_from(all)? * arguments.sockets;
    let (begin, begin_millis) = (Instant::now(), now_millis()?);
    // Beside the reading, so that an update is on time whatever is read meanwhile; one that is late all the same counts from its moment.
    let publishing = std::thread::spawn(move || {
        (0..all).try_for_each(|number| {
            let due = Duration::from_secs(number) / rate;
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
            let update = source.next_of(begin_millis + i64::try_from(due.as_millis())?)?;
            source.publish(&[update])
        })
    });
    let mut read = 0;
    while read < frames * bytes {
        read += sockets.look()?;
        ensure!(begin.elapsed() < Duration::from_secs(arguments.seconds) + PATIENCE, "not everything came");
    }
    let took = begin.elapsed();
    publishing.join().map_err(|_| anyhow!("the publisher panicked"))??;
    let lags = sockets.lags()?;
    println!(
        "{}",
        json!({
            "sockets": arguments.sockets,
            "updates_per_s": rate,
            "frames_per_s": per_second(frames, took).round(),
            "lag_p50_ms": lags[lags.len() / 2],
            "lag_p99_ms": lags[lags.len() * 99 / 100],
        })
    );
    Ok(())
}

/// Publishes one order after the other; all frames have the same length.
struct Publisher {
    runtime: tokio::runtime::Runtime,
    bus: SharedBus,
    hero: HeroId,
    made: i64,
}

impl Publisher {
    fn next(&mut self) -> anyhow::Result<Update> {
        self.next_of(now_millis()?)
    }

    /// As if the order had been placed at this moment.
    fn next_of(&mut self, millis: i64) -> anyhow::Result<Update> {
        self.made += 1;
        let time = Timestamp::from_millis(millis).context("the clock")?;
        let id = OrderId::new(1_000_000_000 + self.made).context("an id")?;
        let order = Order {
            id,
            hero_id: self.hero,
            meal_id: MealId::new(1).context("an id")?,
            status: Status::Pending,
            message: None,
            reason: None,
            version: Version::FIRST,
            order_time: time,
            started_time: None,
            completed_time: None,
        };
        Ok(Update::of(&order, id))
    }

    fn publish(&self, updates: &[Update]) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.bus.announce(updates, &[]))?)
    }
}

/// Connections that are read.
struct Sockets {
    poll: Poll,
    events: Events,
    streams: Vec<mio::net::TcpStream>,
    buffer: Vec<u8>,
    /// What the first ones are sent.
    looked_at: Vec<Told>,
}

/// What a socket was told.
#[derive(Clone, Default)]
struct Told {
    /// Not a whole frame yet.
    bytes: Vec<u8>,
    last: i64,
    /// From each publication to its frame, in milliseconds.
    lags: Vec<i64>,
}

impl Sockets {
    fn new() -> anyhow::Result<Self> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(1_024));
        Ok(Self { poll, events, streams: Vec::new(), buffer: vec![0; 64 * 1_024], looked_at: Vec::new() })
    }

    fn add(&mut self, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(self.streams.len()), Interest::READABLE)?;
        self.streams.push(stream);
        Ok(())
    }

    fn look_at(&mut self, sockets: usize) {
        self.looked_at = vec![Told::default(); sockets.min(self.streams.len())];
    }

    /// Reads until so many bytes have come.
    fn read(&mut self, bytes: usize) -> anyhow::Result<()> {
        let (begin, mut read) = (Instant::now(), 0);
        while read < bytes {
            read += self.look()?;
            ensure!(begin.elapsed() < PATIENCE, "only {read} of {bytes} bytes came");
        }
        ensure!(read == bytes, "{read} bytes came, and not {bytes}");
        Ok(())
    }

    /// From each publication to its frame, in milliseconds, the shortest first.
    fn lags(&mut self) -> anyhow::Result<Vec<i64>> {
        let mut lags: Vec<_> = self.looked_at.iter_mut().flat_map(|told| std::mem::take(&mut told.lags)).collect();
        ensure!(!lags.is_empty(), "nothing was looked at");
        lags.sort_unstable();
        Ok(lags)
    }

    /// Reads what has come, after a moment; how many bytes that was. Who writes is charged neither for waking us nor for a core that we
    /// keep busy, the one more than the other.
    fn look(&mut self) -> anyhow::Result<usize> {
        std::thread::sleep(LOOK);
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let mut bytes = 0;
        for event in &self.events {
            let socket = event.token().0;
            loop {
                match self.streams[socket].read(&mut self.buffer) {
                    Ok(0) => bail!("a socket was closed"),
                    Ok(length) => {
                        bytes += length;
                        if let Some(looked_at) = self.looked_at.get_mut(socket) {
                            looked_at.take(&self.buffer[..length])?;
                        }
                        if length < self.buffer.len() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(bytes)
    }
}

impl Told {
    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.bytes.extend_from_slice(bytes);
        let now = now_millis()?;
        // A text of 126 to 65,535 bytes, in one frame (RFC 6455 section 5.2).
        while let [0x81, 126, high, low, rest @ ..] = &self.bytes[..] {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(text) = rest.get(..length) else { return Ok(()) };
            let order = serde_json::from_slice::<Value>(text)?["order"].take();
            let order: Order = serde_json::from_value(order).context("a frame that is no order")?;
            ensure!(self.last == 0 || order.id.get() == self.last + 1, "order {} came after {}", order.id, self.last);
            self.last = order.id.get();
            self.lags.push(now - order.order_time.millis());
            self.bytes.drain(..4 + length);
        }
        ensure!(self.bytes.len() < 4 || self.bytes[..2] == [0x81, 126], "a frame that is no order");
        Ok(())
    }
}

/// The process that writes to plain TCP sockets.
struct Floor {
    process: Child,
    orders: ChildStdin,
    sockets: Sockets,
}

impl Floor {
    fn start(count: usize, bytes: usize) -> anyhow::Result<Self> {
        let (count_text, bytes) = (count.to_string(), bytes.to_string());
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--write", &bytes, "--sockets", &count_text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        std::io::BufReader::new(process.stdout.take().context("it is piped")?).read_line(&mut address)?;
        let address: SocketAddr = address.trim().parse()?;
        let mut sockets = Sockets::new()?;
        for _ in 0..count {
            sockets.add(TcpStream::connect(address)?)?;
        }
        Ok(Self { orders: process.stdin.take().context("it is piped")?, process, sockets })
    }

    fn end(mut self) -> anyhow::Result<()> {
        drop(self.orders);
        ensure!(self.process.wait()?.success(), "the floor failed");
        Ok(())
    }
}

/// The floor: writes so many bytes to every socket for each line of its input, from as many threads as the line says.
fn write(count: usize, bytes: usize) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let (socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let frame = vec![b'x'; bytes];
    std::thread::scope(|scope| {
        let (orders, threads): (Vec<_>, Vec<_>) = (0..cores()?)
            .map(|_| {
                let (order, orders) = mpsc::channel::<&[TcpStream]>();
                let frame = &frame;
                let thread = scope.spawn(move || {
                    orders.iter().try_for_each(|part| part.iter().try_for_each(|mut socket| socket.write_all(frame)))
                });
                (order, thread)
            })
            .unzip();
        for line in std::io::stdin().lines() {
            for (order, part) in orders.iter().zip(sockets.chunks(count.div_ceil(line?.parse()?))) {
                order.send(part).map_err(|_| anyhow!("a writer ended"))?;
            }
        }
        drop(orders);
        threads.into_iter().try_for_each(|thread| Ok(thread.join().map_err(|_| anyhow!("a writer panicked"))??))
    })
}

fn cores() -> anyhow::Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}

/// A socket of a hero that has its welcome.
fn upgrade(gateway: SocketAddr, hero: i64) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(gateway)?;
    stream.write_all(
        format!(
            "GET /ws?hero_id={hero} HTTP/1.1\r\nHost: {gateway}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        .as_bytes(),
    )?;
    let (mut read, mut buffer) = (Vec::new(), [0; 4_096]);
    // The welcome of a hero without orders is one short frame, which ends its read.
    while !(read.windows(9).any(|part| part == b"\"welcome\"") && read.ends_with(b"}")) {
        let length = stream.read(&mut buffer)?;
        ensure!(length > 0, "no welcome: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..length]);
    }
    Ok(stream)
}

/// Bytes of an update on a WebSocket: its text is longer than 125 bytes, and shorter than 64 KiB.
fn wire_length(update: &Update) -> usize {
    update.frame.len() + 4
}

fn now_millis() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
