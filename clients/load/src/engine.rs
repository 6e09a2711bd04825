//! An engine: one process of the load. A single thread waits for all its connections at once.
//!
//! The coordinator starts it, sends it a [`Plan`] and receives [`EngineMessage`]s. No order is placed
//! before every engine has its sockets. Latencies begin when an order was due, however late it was
//! sent. The process ends with the coordinator. An idle socket takes no more memory than its
//! [`LoadConnection`], and a frame that is not checked is not parsed.

mod asking;
mod connecting;
mod connection;
mod event_reader;
mod frame_parser;
mod load_stream;
mod placements;
mod received_frame;
mod receiving;
mod request_answers;
mod schedule;
mod socket_ramp;
mod tracker;
mod upgrade;
mod usage;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use rustls::ClientConfig;

use crate::load_failure::LoadFailure;
use crate::measures::Measures;
use crate::message::{EngineMessage, EngineOrder, MemoryUse, RunDone, Tick};
use crate::plan::Plan;
use connecting::Opening;
use connection::{ConnectionRole, LoadConnection};
use placements::Placements;
use tracker::Tracker;

/// The token of the waker: an order of the coordinator has arrived.
const WAKER: Token = Token(usize::MAX);
/// Maximum readiness events per poll.
const EVENTS: usize = 1_024;
/// Bytes of the read buffer, which all connections share.
const BUFFER: usize = 64 * 1_024;
/// Interval of the reports to the coordinator, in microseconds.
const TICK: u64 = 1_000_000;
/// Interval of the reads of slow sockets, in microseconds.
const SLOW_READ: u64 = 250_000;
/// Interval of the checks for missing states after the load, in microseconds.
const LOOK: u64 = 20_000;
/// Time to wait for duplicates after the last expected state, in microseconds.
const LINGER: u64 = 200_000;

/// Runs an engine: orders come on standard input, messages go to standard output.
pub fn run() -> Result<(), LoadFailure> {
    let memory = usage::resident();
    let mut plan = String::new();
    std::io::stdin()
        .read_line(&mut plan)
        .map_err(|error| LoadFailure::failed("the plan cannot be read", &error))?;
    let plan: Plan = serde_json::from_str(&plan)
        .map_err(|error| LoadFailure::failed("the plan cannot be read", &error))?;
    let poll =
        Poll::new().map_err(|error| LoadFailure::failed("cannot wait for connections", &error))?;
    let waker = Waker::new(poll.registry(), WAKER)
        .map_err(|error| LoadFailure::failed("cannot be woken", &error))?;
    let (orders, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let Ok(order) = serde_json::from_str(&line) else { continue };
            if orders.send(order).is_err() || waker.wake().is_err() {
                return;
            }
        }
        // The coordinator is gone, and with it the purpose of this process.
        std::process::exit(1);
    });
    let tls = plan.tls.as_ref().map(|tls| galley_launch::tls_client(tls.ca_file.as_deref()));
    let tls = tls.transpose().map_err(LoadFailure::Usage)?;
    Engine::new(plan, poll, memory, tls).run(&heard)
}

struct Engine {
    plan: Plan,
    poll: Poll,
    began: Instant,
    random: SmallRng,
    /// The settings of TLS, for gateways at `https://`.
    tls: Option<Arc<ClientConfig>>,
    /// Sockets of heroes, then of staff, then connections over REST.
    connections: Vec<LoadConnection>,
    buffer: Vec<u8>,
    opening: Opening,
    placing: Placements,
    tracker: Tracker,
    timers: BinaryHeap<Reverse<(u64, Timer)>>,
    phase: Phase,
    measures: Measures,
    open_sockets: u64,
    /// Open connections of all kinds.
    open: usize,
    given_up: usize,
    /// True after an order to stop.
    stopped: bool,
    /// The microsecond of the load at which an order last became known to have ended.
    last_end: u64,
    /// Resident bytes before the first socket.
    memory: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Open(usize),
    /// Give back the credit of a refused placer: its index and generation.
    Credit(usize, u32),
    Storm,
    /// Open and close sockets, as the stages say.
    Ramp,
    SlowRead,
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ramp,
    /// The engine waits for the others.
    Ready,
    /// Orders are placed, until this time.
    Load {
        until: u64,
    },
    /// The engine waits for answers and last states, at most until this time.
    Settle {
        until: u64,
    },
    /// Everything has arrived; duplicates are awaited until this time.
    Linger {
        until: u64,
    },
    Done,
}

impl Engine {
    fn new(plan: Plan, poll: Poll, memory: u64, tls: Option<Arc<ClientConfig>>) -> Self {
        let (heroes, sockets) = (plan.heroes.len(), plan.sockets);
        let of_hero = |hero: usize| sockets / heroes + usize::from(hero < sockets % heroes);
        let mut tracker = Tracker::new((0..plan.ordering).map(of_hero), plan.dashboards);
        let wanted = socket_ramp::wanted(&plan, 0);
        let mut connections =
            Vec::with_capacity(sockets + plan.dashboards + plan.rest.unwrap_or(0));
        for index in 0..sockets {
            let (hero, turn) = (index % heroes, index / heroes);
            let among = |permille: usize, sockets: usize| sockets * permille / 1_000;
            let is_one = |permille| among(permille, turn + 1) > among(permille, turn);
            let stream = is_one(plan.stream_permille);
            let number = |number: usize| {
                u32::try_from(number).expect("a process has less than 2^32 sockets")
            };
            let slow = !stream && is_one(plan.slow_permille);
            let role =
                ConnectionRole::Hero { hero: number(hero), slot: number(turn), slow, stream };
            if index >= wanted && tracker.follows(hero) {
                tracker.leave_out(hero, turn); // until it comes
            }
            connections.push(LoadConnection::new(role, tracker.follows(hero)));
        }
        for slot in 0..u32::try_from(plan.dashboards).expect("a process has less than 2^32 sockets")
        {
            connections.push(LoadConnection::new(ConnectionRole::Staff { slot }, true));
        }
        connections.extend(
            (0..plan.rest.unwrap_or(0)).map(|_| LoadConnection::new(ConnectionRole::Rest, false)),
        );
        Self {
            random: SmallRng::seed_from_u64(plan.seed.wrapping_add(plan.number.into())),
            opening: Opening::of(&plan, connections.len(), wanted),
            placing: Placements::of(&plan),
            poll,
            tls,
            began: Instant::now(),
            connections,
            buffer: vec![0; BUFFER],
            tracker,
            timers: BinaryHeap::from([
                Reverse((TICK, Timer::Tick)),
                Reverse((SLOW_READ, Timer::SlowRead)),
            ]),
            phase: Phase::Ramp,
            measures: Measures::default(),
            open_sockets: 0,
            open: 0,
            given_up: 0,
            stopped: false,
            last_end: 0,
            memory,
            plan,
        }
    }

    fn run(mut self, orders: &Receiver<EngineOrder>) -> Result<(), LoadFailure> {
        let mut events = Events::with_capacity(EVENTS);
        while self.phase != Phase::Done {
            self.open_due();
            self.place_due();
            let wait = self.next_moment().saturating_sub(self.now());
            match self.poll.poll(&mut events, Some(Duration::from_micros(wait))) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(LoadFailure::failed("cannot wait for connections", &error));
                }
                Ok(()) | Err(_) => {}
            }
            for event in &events {
                if event.token() != WAKER {
                    let ended = event.is_read_closed() || event.is_error();
                    self.happened(
                        event.token().0,
                        event.is_readable() || ended,
                        event.is_writable(),
                        ended,
                    );
                }
            }
            for order in orders.try_iter() {
                self.obey(order);
            }
            self.run_timers();
            self.advance();
        }
        if !self.stopped {
            self.placing.finish(&mut self.measures.counts);
        }
        let done = self.tracker.finish(&mut self.measures.counts);
        self.send_tick();
        send(&EngineMessage::Done(RunDone { processor_ms: usage::processor_ms(), ..done }));
        Ok(())
    }

    /// Microseconds since this process began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).expect("no process runs for 500,000 years")
    }

    fn obey(&mut self, order: EngineOrder) {
        let now = self.now();
        match order {
            EngineOrder::Begin if self.phase == Phase::Ready => {
                self.phase = Phase::Load { until: now + self.plan.duration * 1_000 };
                self.begin_placing(now);
                self.begin_ramp(now);
                if let Some(storm) = self.plan.storm {
                    self.timers.push(Reverse((now + storm.period * 1_000, Timer::Storm)));
                }
            }
            EngineOrder::Begin => {}
            EngineOrder::Stop => {
                self.stopped = true;
                self.phase = Phase::Done;
            }
        }
    }

    fn run_timers(&mut self) {
        let now = self.now();
        while let Some(Reverse((moment, timer))) = self.timers.peek().copied()
            && moment <= now
        {
            self.timers.pop();
            match timer {
                Timer::Open(index) if self.is_surplus(index) => {}
                Timer::Open(index) => self.opening.again(index, self.connections[index].since),
                Timer::Credit(index, generation) => self.placing.give_back(index, generation),
                Timer::Storm => self.storm(now),
                Timer::Ramp => self.follow_profile(now),
                Timer::SlowRead => {
                    self.read_slowly();
                    self.timers.push(Reverse((now + SLOW_READ, Timer::SlowRead)));
                }
                Timer::Tick => {
                    self.send_tick();
                    self.give_up_handshakes(now);
                    self.refresh_rest(now);
                    self.timers.push(Reverse((moment + TICK, Timer::Tick)));
                }
            }
        }
    }

    /// Enters the next phase when the current one is over.
    fn advance(&mut self) {
        let now = self.now();
        match self.phase {
            Phase::Ramp if self.open + self.given_up >= self.opening.at_first() => {
                self.phase = Phase::Ready;
                self.send_tick();
                send(&EngineMessage::Ready(MemoryUse {
                    before: self.memory,
                    with_sockets: usage::resident(),
                }));
            }
            Phase::Load { until } if now >= until => {
                self.place_due();
                self.placing.stop(&mut self.measures.counts);
                self.wake_slow_sockets();
                self.phase = Phase::Settle { until: now + self.plan.settle * 1_000 };
            }
            Phase::Settle { until } => {
                if self.placing.all_answered() && self.tracker.all_seen() {
                    self.phase = Phase::Linger {
                        until: now + if self.tracker.is_empty() { 0 } else { LINGER },
                    };
                } else if now >= until {
                    self.phase = Phase::Done;
                }
            }
            Phase::Linger { until } if now >= until => self.phase = Phase::Done,
            Phase::Ramp
            | Phase::Ready
            | Phase::Load { .. }
            | Phase::Linger { .. }
            | Phase::Done => {}
        }
    }

    fn next_moment(&self) -> u64 {
        let phase = match self.phase {
            Phase::Ramp | Phase::Ready => self.opening.next_due(),
            Phase::Load { until } => {
                Some(self.placing.next_due().map_or(until, |due| due.min(until)))
            }
            Phase::Settle { .. } => Some(self.now() + LOOK),
            Phase::Linger { until } => Some(until),
            Phase::Done => Some(0),
        };
        let timer = self.timers.peek().map(|Reverse((moment, _))| *moment);
        let turn = self.opening.has_turn().then_some(0);
        [phase, timer, turn].into_iter().flatten().min().unwrap_or(0)
    }

    /// Cuts a random share of the heroes' sockets at the same moment. Each reconnects as soon as it
    /// gets its turn.
    fn storm(&mut self, now: u64) {
        let Some(storm) = self.plan.storm.filter(|_| matches!(self.phase, Phase::Load { .. }))
        else {
            return;
        };
        for index in 0..self.plan.sockets {
            if self.connections[index].is_open() && self.random.random_range(0..1_000) < storm.what
            {
                self.measures.counts.dropped += 1;
                self.leave(index);
                self.connections[index].since = now;
                self.opening.again(index, now);
            }
        }
        self.timers.push(Reverse((now + storm.period * 1_000, Timer::Storm)));
    }

    fn slow_sockets(&self) -> Vec<usize> {
        if self.plan.slow_permille == 0 {
            return Vec::new();
        }
        let slow = |connection: &LoadConnection| {
            matches!(connection.role, ConnectionRole::Hero { slow: true, .. })
        };
        let sockets = self.connections.iter().enumerate();
        sockets
            .filter(|(_, connection)| slow(connection) && connection.is_open())
            .map(|(index, _)| index)
            .collect()
    }

    fn read_slowly(&mut self) {
        if matches!(self.phase, Phase::Settle { .. } | Phase::Linger { .. }) {
            return;
        }
        let share = SLOW_READ / 1_000;
        let bytes = self.plan.slow_rate * usize::try_from(share).expect("it is small") / 1_000;
        for index in self.slow_sockets() {
            self.read(index, false, bytes.clamp(1, BUFFER));
        }
    }

    /// Lets the slow sockets read everything after the load.
    fn wake_slow_sockets(&mut self) {
        for index in self.slow_sockets() {
            self.watch(index, Interest::READABLE | Interest::WRITABLE);
        }
    }

    fn send_tick(&mut self) {
        let measures = std::mem::take(&mut self.measures);
        send(&EngineMessage::Tick(Box::new(Tick {
            open: self.open_sockets,
            last_end: self.last_end,
            measures,
        })));
    }
}

/// Sends a message to the coordinator; exits if the coordinator is gone.
fn send(message: &EngineMessage) {
    let mut line = serde_json::to_vec(message).expect("a message is JSON");
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    if output.write_all(&line).and_then(|()| output.flush()).is_err() {
        std::process::exit(1);
    }
}
