//! Measures the cost of an update that goes to many sockets, and how many frames per second a
//! gateway sends. The baseline is another process that writes the same bytes to as many plain TCP
//! sockets.
//!
//! Updates are published directly on the bus, as a worker does. Without `--rate`, gateway and
//! baseline take turns: one update is published or the baseline writes once, and the next begins
//! only when the last socket has received it. With `--rate`, updates are published at that rate,
//! whether or not earlier ones have arrived; then the baseline writes as many frames at the same
//! rate, and on [`LOOKED_AT`] sockets every frame is checked.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Parser;
use galley_bus::{BusConfig, SharedBus};
use galley_protocol::{HeroId, MealId, Order, OrderId, PlaceOrder, Timestamp, Update};
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};

/// Measures how fast an update comes to many sockets
#[derive(Parser)]
struct FanOutArguments {
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
    /// Is the baseline instead: writes frames of so many bytes to each socket, as each line says that
    /// it reads
    #[arg(long, hide = true)]
    write: Option<usize>,
}

/// Lower bound of all order ids: they have ten digits each, so that all frames have the same
/// length.
const FIRST: i64 = 1_000_000_000;
/// Sockets on which every frame is checked.
const LOOKED_AT: usize = 16;
/// Rounds that are not counted, before the measured ones.
const WARM_UP: usize = 10;
/// Wait for the repairs of the gateway. When a publisher appears or falls silent, a gateway drops
/// the updates that wait for its sockets and reads the database instead, which does not contain the
/// updates of this program. After this time both are over: the repair for this publisher and the
/// one for the publisher of an earlier run.
const SETTLED: Duration = Duration::from_secs(8);
/// Interval of the reads.
const LOOK: Duration = Duration::from_micros(100);
/// Time from the order to the baseline until it begins to write.
const NOTICE: Duration = Duration::from_millis(100);
/// Timeout of an update on its way to the last socket.
const PATIENCE: Duration = Duration::from_mins(1);

fn main() -> anyhow::Result<()> {
    let arguments = FanOutArguments::parse();
    let pace = arguments.rate.map(|rate| FanOutPace { rate, seconds: arguments.seconds });
    if let Some(bytes) = arguments.write {
        let sockets = accept(arguments.sockets)?;
        return match pace {
            None => write_in_turns(&sockets, bytes),
            Some(pace) => write_at_pace(&sockets, bytes, pace),
        };
    }
    // The bus needs a thread of its own: a publisher must send a heartbeat every second, whatever
    // the main thread reads meanwhile.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let url = arguments.redis_url.clone();
    let bus = runtime.block_on(galley_bus::connect(&BusConfig { url, ..BusConfig::default() }))?;
    let publisher = UpdateSource {
        runtime,
        bus,
        hero: HeroId::new(arguments.hero).context("a hero")?,
        // The gateway drops an order that it has seen in this version, so the two measurements on
        // one gateway use different orders.
        made: if pace.is_some() { 1_000_000 } else { 0 },
    };
    let gateway = arguments.gateway.context("--gateway")?;
    let mut sockets = FanOutSockets::new(Framing::WebSocket)?;
    for _ in 0..arguments.sockets {
        sockets.add(upgrade(gateway, arguments.hero)?)?;
    }
    match pace {
        None => in_turns(&arguments, publisher, sockets),
        Some(pace) => at_pace(&arguments, pace, publisher, sockets),
    }
}

/// Measures one update at a time.
fn in_turns(
    arguments: &FanOutArguments,
    mut publisher: UpdateSource,
    mut sockets: FanOutSockets,
) -> anyhow::Result<()> {
    let bytes = wire_length(&publisher.next()?);
    let mut baseline = Baseline::start(arguments.sockets, bytes, None)?;
    let (mut ours, mut baselines) = (Vec::new(), [const { Vec::new() }; 2]);
    for _ in 0..WARM_UP + arguments.rounds {
        // The gateway runs before each of the two baselines, so that neither finds its data cached.
        for (threads, times) in [1, cores()?].into_iter().zip(&mut baselines) {
            let update = publisher.next()?;
            let begin = Instant::now();
            publisher.publish(&[update])?;
            sockets.read(arguments.sockets)?;
            ours.push(begin.elapsed());
            let begin = Instant::now();
            writeln!(baseline.orders, "{threads}")?;
            baseline.sockets.read(arguments.sockets)?;
            times.push(begin.elapsed());
        }
    }
    let ours = median(ours[baselines.len() * WARM_UP..].to_vec());
    let [one_thread, all_cores] = baselines.map(|times| median(times[WARM_UP..].to_vec()));
    let a_second = |time: Duration| (per_second(arguments.sockets, time)).round();
    println!(
        "{}",
        json!({
            "sockets": arguments.sockets,
            "bytes": bytes,
            "to_all_ms": millis(ours),
            "frames_per_s": a_second(ours),
            "baseline_frames_per_s": a_second(one_thread),
            "baseline_frames_per_s_of_all_cores": a_second(all_cores),
        })
    );
    baseline.end()
}

fn at_pace(
    arguments: &FanOutArguments,
    pace: FanOutPace,
    mut source: UpdateSource,
    mut sockets: FanOutSockets,
) -> anyhow::Result<()> {
    let first = source.next()?;
    let bytes = wire_length(&first);
    source.publish(&[first])?;
    sockets.read(arguments.sockets)?;
    std::thread::sleep(SETTLED);
    let first = source.made + 1;
    let begin = Instant::now();
    // A thread of its own keeps the updates on time whatever is read meanwhile. The lag of an
    // update that is published late includes that delay.
    let publishing = std::thread::spawn(move || {
        (0..pace.updates()).try_for_each(|number| {
            std::thread::sleep(pace.due(number).saturating_sub(begin.elapsed()));
            let update = source.next()?;
            source.publish(&[update])
        })
    });
    let lags = sockets.read_at_pace(&Awaited { pace, begin, first: Some(first) })?;
    let took = begin.elapsed();
    publishing.join().map_err(|_| anyhow!("the publisher panicked"))??;

    let mut baseline = Baseline::start(arguments.sockets, bytes, Some(pace))?;
    let (begin, begin_since_epoch) = (Instant::now() + NOTICE, since_epoch()? + NOTICE);
    writeln!(baseline.orders, "{}", begin_since_epoch.as_micros())?;
    let baseline_lags = baseline.sockets.read_at_pace(&Awaited { pace, begin, first: None })?;
    println!(
        "{}",
        json!({
            "sockets": arguments.sockets,
            "updates_per_s": pace.rate,
            "frames_per_s": per_second(pace.frames(arguments.sockets)?, took).round(),
            "lag_p50_ms": millis(part(&lags, 50)),
            "lag_p99_ms": millis(part(&lags, 99)),
            "baseline_lag_p50_ms": millis(part(&baseline_lags, 50)),
            "baseline_lag_p99_ms": millis(part(&baseline_lags, 99)),
        })
    );
    baseline.end()
}

/// A number of updates, each due at its moment.
#[derive(Clone, Copy)]
struct FanOutPace {
    /// Updates per second.
    rate: u32,
    seconds: u32,
}

impl FanOutPace {
    fn updates(self) -> u32 {
        self.rate * self.seconds
    }

    fn due(self, number: u32) -> Duration {
        Duration::from_secs(number.into()) / self.rate
    }

    fn fallen_due(self, elapsed: Duration) -> u32 {
        let due = 1 + elapsed.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u32::try_from(due).map_or(self.updates(), |due| due.min(self.updates()))
    }

    fn frames(self, sockets: usize) -> anyhow::Result<usize> {
        Ok(usize::try_from(self.updates())? * sockets)
    }
}

/// Publishes one new order after the other; all updates have the same length.
struct UpdateSource {
    runtime: tokio::runtime::Runtime,
    bus: SharedBus,
    hero: HeroId,
    made: i64,
}

impl UpdateSource {
    fn next(&mut self) -> anyhow::Result<Update> {
        self.made += 1;
        let time =
            Timestamp::from_millis(since_epoch()?.as_millis().try_into()?).context("the clock")?;
        let id = OrderId::new(FIRST + self.made).context("an id")?;
        let order =
            Order::placed(id, self.hero, &PlaceOrder::of(MealId::new(1).context("an id")?), time);
        Ok(Update::of(&order))
    }

    fn publish(&self, updates: &[Update]) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.bus.publish(updates, &[]))?)
    }
}

struct FanOutSockets {
    poll: Poll,
    events: Events,
    streams: Vec<mio::net::TcpStream>,
    framing: Framing,
    /// A counter for each stream.
    counters: Vec<FrameCounter>,
    buffer: Vec<u8>,
}

/// The form of the frames on a stream.
#[derive(Clone, Copy)]
enum Framing {
    /// Texts of 126 to 65,535 bytes on a WebSocket (RFC 6455 section 5.2). The first frame after the
    /// cursor has advanced is longer, because it carries the new one.
    WebSocket,
    /// Frames of one length, without a head.
    Fixed(usize),
}

/// Counts the frames that have arrived completely on one stream.
#[derive(Default)]
struct FrameCounter {
    /// The bytes of a head that has arrived in part.
    head: Vec<u8>,
    /// The bytes that the current frame lacks.
    lacking: usize,
}

/// The frames to expect, each due at its moment.
struct Awaited {
    pace: FanOutPace,
    begin: Instant,
    /// The number of the first update; `None` for the baseline, whose frames are not checked.
    first: Option<i64>,
}

#[derive(Clone, Default)]
struct SocketFrames {
    /// The bytes of an incomplete frame.
    part: Vec<u8>,
    /// The time from the due moment of each frame to its arrival.
    lags: Vec<Duration>,
}

impl FanOutSockets {
    fn new(framing: Framing) -> anyhow::Result<Self> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(1_024));
        let (streams, counters) = (Vec::new(), Vec::new());
        Ok(Self { poll, events, streams, framing, counters, buffer: vec![0; 64 * 1_024] })
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
        self.counters.push(FrameCounter::default());
        Ok(())
    }

    fn read(&mut self, frames: usize) -> anyhow::Result<()> {
        self.show(frames, Instant::now(), |_, _| Ok(()))
    }

    /// Reads until every frame has arrived; returns the lags on the checked sockets, sorted.
    fn read_at_pace(&mut self, awaited: &Awaited) -> anyhow::Result<Vec<Duration>> {
        let mut told = vec![SocketFrames::default(); LOOKED_AT.min(self.streams.len())];
        let (all, framing) = (awaited.pace.frames(self.streams.len())?, self.framing);
        let last_due = awaited.begin + awaited.pace.due(awaited.pace.updates());
        self.show(all, last_due, |socket, bytes| {
            told.get_mut(socket).map_or(Ok(()), |told| told.take(bytes, framing, awaited))
        })?;
        let mut lags: Vec<_> = told.into_iter().flat_map(|told| told.lags).collect();
        ensure!(!lags.is_empty(), "nothing was looked at");
        lags.sort_unstable();
        Ok(lags)
    }

    /// Reads until this number of frames has arrived, the last of which is due at `due`. Calls
    /// `show` with each socket and the bytes that it received.
    fn show(
        &mut self,
        frames: usize,
        due: Instant,
        mut show: impl FnMut(usize, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut read = 0;
        while read < frames {
            read += self.look(&mut show)?;
            ensure!(Instant::now() < due + PATIENCE, "only {read} of {frames} frames came");
        }
        ensure!(read == frames, "{read} frames came, and not {frames}");
        Ok(())
    }

    /// Sleeps for a moment, shows what has arrived, and returns the number of frames.
    fn look(
        &mut self,
        mut show: impl FnMut(usize, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        // A blocking `poll` would make the writer wake this thread, and a busy loop would take a
        // core from it. Either would slow gateway and baseline by different amounts.
        std::thread::sleep(LOOK);
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let mut frames = 0;
        for event in &self.events {
            let socket = event.token().0;
            loop {
                match self.streams[socket].read(&mut self.buffer) {
                    Ok(0) => bail!("a socket was closed"),
                    Ok(length) => {
                        let bytes = &self.buffer[..length];
                        frames += self.counters[socket].count(bytes, self.framing)?;
                        show(socket, bytes)?;
                        if length < self.buffer.len() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(frames)
    }
}

impl Framing {
    /// Returns the length of the frame that begins with these bytes, its head included; `None` if
    /// its head is incomplete.
    fn length(self, begin: &[u8]) -> anyhow::Result<Option<usize>> {
        match (self, begin) {
            (Self::Fixed(length), _) => Ok(Some(length)),
            (Self::WebSocket, [0x81, 126, high, low, ..]) => {
                Ok(Some(4 + usize::from(u16::from_be_bytes([*high, *low]))))
            }
            (Self::WebSocket, [] | [0x81] | [0x81, 126] | [0x81, 126, _]) => Ok(None),
            (Self::WebSocket, _) => bail!("a frame that is no order"),
        }
    }
}

impl FrameCounter {
    /// Returns the number of frames that end within these bytes.
    fn count(&mut self, mut bytes: &[u8], framing: Framing) -> anyhow::Result<usize> {
        let mut frames = 0;
        while let [first, rest @ ..] = bytes {
            if self.lacking == 0 {
                self.head.push(*first);
                bytes = rest;
                if let Some(length) = framing.length(&self.head)? {
                    self.lacking = length - self.head.len();
                    self.head.clear();
                }
            } else {
                let taken = self.lacking.min(bytes.len());
                self.lacking -= taken;
                bytes = &bytes[taken..];
                frames += usize::from(self.lacking == 0);
            }
        }
        Ok(frames)
    }
}

impl SocketFrames {
    fn take(&mut self, bytes: &[u8], framing: Framing, awaited: &Awaited) -> anyhow::Result<()> {
        self.part.extend_from_slice(bytes);
        let now = awaited.begin.elapsed();
        let mut whole = 0;
        while let Some(length) = framing.length(&self.part[whole..])?
            && let Some(frame) = self.part.get(whole..whole + length)
        {
            whole += length;
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

/// Checks that this is the frame of the expected update.
fn check(frame: &[u8], made: i64) -> anyhow::Result<()> {
    let [0x81, 126, _, _, text @ ..] = frame else { bail!("a frame that is no order") };
    let order = serde_json::from_slice::<Value>(text)?["order"].take();
    let order: Order = serde_json::from_value(order).context("a frame that is no order")?;
    ensure!(order.id.get() == FIRST + made, "order {} came, and not {}", order.id, FIRST + made);
    Ok(())
}

/// The baseline: a process that writes to plain TCP sockets.
struct Baseline {
    process: Child,
    orders: ChildStdin,
    sockets: FanOutSockets,
}

impl Baseline {
    fn start(count: usize, bytes: usize, pace: Option<FanOutPace>) -> anyhow::Result<Self> {
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
        let mut sockets = FanOutSockets::new(Framing::Fixed(bytes))?;
        for _ in 0..count {
            sockets.add(TcpStream::connect(address)?)?;
        }
        Ok(Self { orders: process.stdin.take().context("it is piped")?, process, sockets })
    }

    fn end(mut self) -> anyhow::Result<()> {
        drop(self.orders);
        ensure!(self.process.wait()?.success(), "the baseline failed");
        Ok(())
    }
}

/// Accepts the connections of the baseline, after printing the address for them.
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

/// The baseline of single updates. For each line of its input it writes a frame to every socket,
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

/// The baseline of updates at a rate. From the moment given by its input, one thread walks over the
/// sockets and writes to each, in one call, all frames that have fallen due since its last visit.
fn write_at_pace(sockets: &[TcpStream], bytes: usize, pace: FanOutPace) -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let begin =
        Instant::now() + Duration::from_micros(line.trim().parse()?).saturating_sub(since_epoch()?);
    let frames = vec![b'x'; bytes * usize::try_from(pace.updates())?];
    let mut written = vec![0; sockets.len()];
    std::thread::sleep(begin.saturating_duration_since(Instant::now()));
    // The first socket is always visited first: the others are no further behind.
    while let Some(least) = written.first().copied().filter(|&least| least < pace.updates()) {
        std::thread::sleep(pace.due(least).saturating_sub(begin.elapsed()));
        for (mut socket, written) in sockets.iter().zip(&mut written) {
            let due = pace.fallen_due(begin.elapsed());
            socket.write_all(&frames[..bytes * usize::try_from(due - *written)?])?;
            *written = due;
        }
    }
    // The reader closes this input when it has read everything.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

fn cores() -> anyhow::Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}

/// Opens a socket of a hero and waits for its welcome.
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
    // The welcome of a hero without orders is one short frame, the last bytes of a read.
    while !(read.windows(9).any(|part| part == b"\"welcome\"") && read.ends_with(b"}")) {
        let length = stream.read(&mut buffer)?;
        ensure!(length > 0, "no welcome: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..length]);
    }
    Ok(stream)
}

/// Returns the bytes of an update on a WebSocket: a text of 126 to 65,535 bytes and a head of 4.
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

/// Returns a percentile of these times, which must be sorted.
fn part(times: &[Duration], per_cent: usize) -> Duration {
    times[times.len() * per_cent / 100]
}

/// Converts to milliseconds with three decimals.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
