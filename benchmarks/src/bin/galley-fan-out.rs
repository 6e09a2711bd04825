//! What one update costs that goes to many sockets, and how many frames a second a gateway sends,
//! against the floor of the same bytes written to as many plain TCP sockets by another process.
//!
//! Updates are published straight on the bus, as a worker would. Without a rate, gateway and floor
//! take turns: an update is published or the floor is told to write, and nothing more happens until
//! the last socket has it. With a rate, updates are published at it, whatever becomes of them, and
//! then the floor has as many frames to write at the same rate; on some of the sockets every frame
//! is looked at.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Parser;
use galley_bus::{BusConfig, SharedBus};
use galley_protocol::{HeroId, MealId, Order, OrderId, Timestamp, Update};
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
    seconds: u32,
    /// Is the floor instead: writes frames of so many bytes to each socket, as each line says that
    /// it reads
    #[arg(long, hide = true)]
    write: Option<usize>,
}

/// Below all ids of updates, so that they have the same length.
const FIRST: i64 = 1_000_000_000;
/// Sockets of which every frame is looked at.
const LOOKED_AT: usize = 16;
/// Updates that are published at once and not counted, before anything is measured.
const WARM_UP: usize = 10;
/// A gateway that hears a publisher for the first time, or not any more, reads the database in
/// place of what waits for its sockets; these updates are in none. Within this time it has done so
/// for us, and for whoever published before us.
const SETTLED: Duration = Duration::from_secs(8);
/// From one look for what has come to the next.
const LOOK: Duration = Duration::from_micros(100);
/// When the floor begins, after it was told so.
const NOTICE: Duration = Duration::from_millis(100);
/// How long an update may take to come to the last socket.
const PATIENCE: Duration = Duration::from_mins(1);

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let pace = arguments.rate.map(|rate| Pace { rate, seconds: arguments.seconds });
    if let Some(bytes) = arguments.write {
        let sockets = accept(arguments.sockets)?;
        return match pace {
            None => write_in_turns(&sockets, bytes),
            Some(pace) => write_at_pace(&sockets, bytes, pace),
        };
    }
    // A thread of its own: whoever publishes must say every second that it lives, whatever is read
    // meanwhile.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let url = arguments.redis_url.clone();
    let bus = runtime.block_on(galley_bus::connect(&BusConfig { url, ..BusConfig::default() }))?;
    let publisher =
        Publisher { runtime, bus, hero: HeroId::new(arguments.hero).context("a hero")?, made: 0 };
    let gateway = arguments.gateway.context("--gateway")?;
    let mut sockets = Sockets::new()?;
    for _ in 0..arguments.sockets {
        sockets.add(upgrade(gateway, arguments.hero)?)?;
    }
    match pace {
        None => in_turns(&arguments, publisher, sockets),
        Some(pace) => at_pace(&arguments, pace, publisher, sockets),
    }
}

/// One update at a time.
fn in_turns(
    arguments: &Arguments,
    mut publisher: Publisher,
    mut sockets: Sockets,
) -> anyhow::Result<()> {
    let bytes = wire_length(&publisher.next()?);
    let all = arguments.sockets * bytes;
    let mut floor = Floor::start(arguments.sockets, bytes, None)?;
    let (mut ours, mut floors) = (Vec::new(), [const { Vec::new() }; 2]);
    for _ in 0..WARM_UP + arguments.rounds {
        // Ours before each of the floors: what the caches hold of the one was last used before the
        // other, and never twice in a row.
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
            "to_all_ms": millis(ours),
            "frames_per_s": a_second(ours),
            "floor_frames_per_s": a_second(one_thread),
            "floor_frames_per_s_of_all_cores": a_second(all_cores),
        })
    );
    floor.end()
}

/// Updates at a rate.
fn at_pace(
    arguments: &Arguments,
    pace: Pace,
    mut source: Publisher,
    mut sockets: Sockets,
) -> anyhow::Result<()> {
    let first = source.next()?;
    let bytes = wire_length(&first);
    source.publish(&[first])?;
    sockets.read(bytes * arguments.sockets)?;
    std::thread::sleep(SETTLED);
    let first = source.made + 1;
    let begin = Instant::now();
    // Beside the reading, so that an update is on time whatever is read meanwhile; one that is late
    // all the same counts from its moment.
    let publishing = std::thread::spawn(move || {
        (0..pace.updates()).try_for_each(|number| {
            std::thread::sleep(pace.due(number).saturating_sub(begin.elapsed()));
            let update = source.next()?;
            source.publish(&[update])
        })
    });
    let lags = sockets.read_at_pace(&Awaited { pace, begin, bytes, first: Some(first) })?;
    let took = begin.elapsed();
    publishing.join().map_err(|_| anyhow!("the publisher panicked"))??;

    let mut floor = Floor::start(arguments.sockets, bytes, Some(pace))?;
    let (begin, begin_since_epoch) = (Instant::now() + NOTICE, since_epoch()? + NOTICE);
    writeln!(floor.orders, "{}", begin_since_epoch.as_micros())?;
    let floor_lags = floor.sockets.read_at_pace(&Awaited { pace, begin, bytes, first: None })?;
    println!(
        "{}",
        json!({
            "sockets": arguments.sockets,
            "updates_per_s": pace.rate,
            "frames_per_s": per_second(pace.frames(arguments.sockets)?, took).round(),
            "lag_p50_ms": millis(part(&lags, 50)),
            "lag_p99_ms": millis(part(&lags, 99)),
            "floor_lag_p50_ms": millis(part(&floor_lags, 50)),
            "floor_lag_p99_ms": millis(part(&floor_lags, 99)),
        })
    );
    floor.end()
}

/// Updates, each due at its moment.
#[derive(Clone, Copy)]
struct Pace {
    /// Updates a second.
    rate: u32,
    seconds: u32,
}

impl Pace {
    fn updates(self) -> u32 {
        self.rate * self.seconds
    }

    /// When an update is due, since the beginning.
    fn due(self, number: u32) -> Duration {
        Duration::from_secs(number.into()) / self.rate
    }

    /// How many updates have fallen due so long after the beginning.
    fn fallen_due(self, elapsed: Duration) -> u32 {
        let due = 1 + elapsed.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u32::try_from(due).map_or(self.updates(), |due| due.min(self.updates()))
    }

    fn frames(self, sockets: usize) -> anyhow::Result<usize> {
        Ok(usize::try_from(self.updates())? * sockets)
    }
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
        self.made += 1;
        let time =
            Timestamp::from_millis(since_epoch()?.as_millis().try_into()?).context("the clock")?;
        let id = OrderId::new(FIRST + self.made).context("an id")?;
        let order = Order::placed(id, self.hero, MealId::new(1).context("an id")?, time);
        Ok(Update::of(&order))
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
}

/// Frames of one length, each due at its moment since the beginning.
struct Awaited {
    pace: Pace,
    begin: Instant,
    bytes: usize,
    /// The first update; nothing of the floor, whose frames say nothing.
    first: Option<i64>,
}

/// The frames that a socket has received.
#[derive(Clone, Default)]
struct Told {
    /// Not a whole frame yet.
    part: Vec<u8>,
    /// From the moment that each frame was due.
    lags: Vec<Duration>,
}

impl Sockets {
    fn new() -> anyhow::Result<Self> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(1_024));
        Ok(Self { poll, events, streams: Vec::new(), buffer: vec![0; 64 * 1_024] })
    }

    fn add(&mut self, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        self.poll.registry().register(
            &mut stream,
            Token(self.streams.len()),
            Interest::READABLE,
        )?;
        self.streams.push(stream);
        Ok(())
    }

    /// Reads until so many bytes have come.
    fn read(&mut self, bytes: usize) -> anyhow::Result<()> {
        self.show(bytes, Instant::now(), |_, _| Ok(()))
    }

    /// Reads until every frame has come. From the moment that each was due, on the sockets that are
    /// looked at, the shortest first.
    fn read_at_pace(&mut self, awaited: &Awaited) -> anyhow::Result<Vec<Duration>> {
        let mut told = vec![Told::default(); LOOKED_AT.min(self.streams.len())];
        let all = awaited.pace.frames(self.streams.len())? * awaited.bytes;
        let last_due = awaited.begin + awaited.pace.due(awaited.pace.updates());
        self.show(all, last_due, |socket, bytes| {
            told.get_mut(socket).map_or(Ok(()), |told| told.take(bytes, awaited))
        })?;
        let mut lags: Vec<_> = told.into_iter().flat_map(|told| told.lags).collect();
        ensure!(!lags.is_empty(), "nothing was looked at");
        lags.sort_unstable();
        Ok(lags)
    }

    /// Reads until so many bytes have come, the last of which were due at a moment, and shows them
    /// with their sockets.
    fn show(
        &mut self,
        bytes: usize,
        due: Instant,
        mut show: impl FnMut(usize, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut read = 0;
        while read < bytes {
            read += self.look(&mut show)?;
            ensure!(Instant::now() < due + PATIENCE, "only {read} of {bytes} bytes came");
        }
        ensure!(read == bytes, "{read} bytes came, and not {bytes}");
        Ok(())
    }

    /// Reads what has come, after a moment, and shows it with its socket; how many bytes that was.
    /// Who writes is charged neither for waking us nor for a core that we keep busy, the one more
    /// than the other.
    fn look(
        &mut self,
        mut show: impl FnMut(usize, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
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
                        show(socket, &self.buffer[..length])?;
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
    fn take(&mut self, bytes: &[u8], awaited: &Awaited) -> anyhow::Result<()> {
        self.part.extend_from_slice(bytes);
        let now = awaited.begin.elapsed();
        let frames = self.part.chunks_exact(awaited.bytes);
        let whole = frames.len() * awaited.bytes;
        for frame in frames {
            let number = u32::try_from(self.lags.len())?;
            if let Some(first) = awaited.first {
                check(frame, first + i64::from(number))?;
            }
            self.lags.push(now.saturating_sub(awaited.pace.due(number)));
        }
        self.part.drain(..whole);
        Ok(())
    }
}

/// Checks that this is the frame of an update: a text of 126 to 65,535 bytes (RFC 6455 section
/// 5.2).
fn check(frame: &[u8], made: i64) -> anyhow::Result<()> {
    let [0x81, 126, _, _, text @ ..] = frame else { bail!("a frame that is no order") };
    let order = serde_json::from_slice::<Value>(text)?["order"].take();
    let order: Order = serde_json::from_value(order).context("a frame that is no order")?;
    ensure!(order.id.get() == FIRST + made, "order {} came, and not {}", order.id, FIRST + made);
    Ok(())
}

/// The process that writes to plain TCP sockets.
struct Floor {
    process: Child,
    orders: ChildStdin,
    sockets: Sockets,
}

impl Floor {
    fn start(count: usize, bytes: usize, pace: Option<Pace>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--write", &bytes.to_string(), "--sockets", &count.to_string()]);
        if let Some(pace) = pace {
            command.args([
                "--rate",
                &pace.rate.to_string(),
                "--seconds",
                &pace.seconds.to_string(),
            ]);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        std::io::BufReader::new(process.stdout.take().context("it is piped")?)
            .read_line(&mut address)?;
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

/// The connections of the floor; says where they may come.
fn accept(count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let (socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// The floor of single updates: writes so many bytes to every socket for each line of its input,
/// from as many threads as the line says.
fn write_in_turns(sockets: &[TcpStream], bytes: usize) -> anyhow::Result<()> {
    let frame = vec![b'x'; bytes];
    std::thread::scope(|scope| {
        let (orders, threads): (Vec<_>, Vec<_>) = (0..cores()?)
            .map(|_| {
                let (order, orders) = mpsc::channel::<&[TcpStream]>();
                let frame = &frame;
                let thread = scope.spawn(move || {
                    orders.iter().try_for_each(|part| {
                        part.iter().try_for_each(|mut socket| socket.write_all(frame))
                    })
                });
                (order, thread)
            })
            .unzip();
        for line in std::io::stdin().lines() {
            for (order, part) in
                orders.iter().zip(sockets.chunks(sockets.len().div_ceil(line?.parse()?)))
            {
                order.send(part).map_err(|_| anyhow!("a writer ended"))?;
            }
        }
        drop(orders);
        threads.into_iter().try_for_each(|thread| {
            Ok(thread.join().map_err(|_| anyhow!("a writer panicked"))??)
        })
    })
}

/// The floor of updates at a rate: from the moment that its input says, one thread goes from socket
/// to socket, and writes what has fallen due since it was there last, at once.
fn write_at_pace(sockets: &[TcpStream], bytes: usize, pace: Pace) -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let begin =
        Instant::now() + Duration::from_micros(line.trim().parse()?).saturating_sub(since_epoch()?);
    let frames = vec![b'x'; bytes * usize::try_from(pace.updates())?];
    let mut written = vec![0; sockets.len()];
    std::thread::sleep(begin.saturating_duration_since(Instant::now()));
    // The first socket is written to first, and so has the least.
    while let Some(least) = written.first().copied().filter(|&least| least < pace.updates()) {
        std::thread::sleep(pace.due(least).saturating_sub(begin.elapsed()));
        for (mut socket, written) in sockets.iter().zip(&mut written) {
            let due = pace.fallen_due(begin.elapsed());
            socket.write_all(&frames[..bytes * usize::try_from(due - *written)?])?;
            *written = due;
        }
    }
    // Until everything has been read.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
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

fn since_epoch() -> anyhow::Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    part(&times, 50)
}

/// Above so many per cent of these, the shortest of which comes first.
fn part(times: &[Duration], per_cent: usize) -> Duration {
    times[times.len() * per_cent / 100]
}

/// In thousandths.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
