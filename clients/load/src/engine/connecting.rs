//! Opening connections: when each is due, how many handshakes run at once, and what happens after a
//! failure.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use galley_client::ReconnectPause;
use mio::{Interest, Token};
use rand::RngExt as _;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::connection::{ConnectionRole, SocketState, Upgrading};
use super::schedule::moment;
use super::{Engine, Timer, upgrade};
use crate::measures::Latency;
use crate::plan::Plan;

/// Concurrent handshakes of all engines together. Each engine gets an equal share, but at least 16,
/// so that more than 64 engines exceed it. With a ramp, and after a failure, the wait for a turn is
/// part of the measured latency.
const MAX_OPENING: usize = 1_024;
/// Timeout of a handshake, in microseconds.
const PATIENCE: u64 = 30_000_000;
/// Attempts to open a socket that was never open.
const MAX_ATTEMPTS: u32 = 4;
/// The waits before further attempts: up to 1 s after the first failure.
const BACK_OFF: ReconnectPause =
    ReconnectPause { first: Duration::from_millis(500), longest: Duration::from_secs(20) };
/// Idle microseconds after which a REST connection is replaced, before the gateway closes it.
const REST_IDLE: u64 = 5_000_000;
/// `EMFILE` on Linux.
const NO_FILES: i32 = 24;

#[derive(Debug)]
pub struct Opening {
    /// Index of the next connection that has not fallen due for the first time.
    next: usize,
    total: usize,
    /// Sockets of heroes that are wanted now, and those that are not closed: the first ones.
    pub target: usize,
    pub held_open: usize,
    /// The sockets that are not opened before the load.
    held: Range<usize>,
    /// Microseconds from one connection of this engine to the next, and before its first; `None`
    /// opens all as fast as possible.
    ramp: Option<(f64, f64)>,
    /// Connections that are due, and since when. Without a ramp a first connection is due when its
    /// turn comes, which is `None` here.
    queue: VecDeque<(usize, Option<u64>)>,
    /// Connections whose handshake is under way, and since when.
    in_progress: HashMap<usize, u64>,
    most: usize,
}

impl Opening {
    pub fn of(plan: &Plan, total: usize, wanted: usize) -> Self {
        let ramp = plan.ramp.map(|rate| {
            (1e6 / rate * f64::from(plan.engines), 1e6 / rate * f64::from(plan.number))
        });
        let most = (MAX_OPENING / plan.engines as usize).max(16);
        Self {
            next: 0,
            total,
            target: wanted,
            held_open: wanted,
            held: wanted..plan.sockets,
            ramp,
            queue: VecDeque::new(),
            in_progress: HashMap::new(),
            most,
        }
    }

    /// Returns the number of connections that are opened before the load.
    pub fn at_first(&self) -> usize {
        self.total - self.held.len()
    }

    /// Queues another attempt for a connection that was due at `since`.
    pub fn again(&mut self, index: usize, since: u64) {
        self.queue.push_back((index, Some(since)));
    }

    pub fn has_turn(&self) -> bool {
        !self.queue.is_empty() && self.in_progress.len() < self.most
    }

    /// Returns when the next connection falls due for the first time, if a handshake could start.
    pub fn next_due(&self) -> Option<u64> {
        (self.next < self.at_first() && self.in_progress.len() < self.most).then(|| self.moment())
    }

    fn moment(&self) -> u64 {
        self.ramp.map_or(0, |(gap, first)| moment(first, gap, self.next as u64))
    }

    fn fall_due(&mut self, now: u64) {
        while self.next < self.at_first()
            && self.moment() <= now
            && (self.ramp.is_some() || self.queue.len() < self.most)
        {
            let held = if self.next < self.held.start { 0 } else { self.held.len() };
            self.queue.push_back((self.next + held, self.ramp.is_some().then(|| self.moment())));
            self.next += 1;
        }
    }
}

impl Engine {
    /// Starts the handshakes that are due, as far as [`MAX_OPENING`] allows.
    pub(super) fn open_due(&mut self) {
        self.opening.fall_due(self.now());
        while self.opening.has_turn() {
            let Some((index, due)) = self.opening.queue.pop_front() else { return };
            if self.is_surplus(index) {
                continue;
            }
            let now = self.now();
            self.connections[index].since = due.unwrap_or(now);
            self.opening.in_progress.insert(index, now);
            let engines = self.plan.engines as usize;
            let source = self.plan.sources.len().checked_sub(1).map(|_| {
                // Engines take the source addresses in turns: each gets equally many connections.
                let turn = index * engines + self.plan.number as usize;
                self.plan.sources[turn % self.plan.sources.len()]
            });
            let gateway = self.plan.gateways[index % self.plan.gateways.len()];
            let tls = self.tls_to(index);
            match self.connections[index].connect(gateway, source, tls) {
                Ok(stream) => {
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    if let Err(error) =
                        self.poll.registry().register(stream, Token(index), interest)
                    {
                        self.end(index, &say(&error));
                    }
                }
                Err(error) => self.end(index, &say(&error)),
            }
            self.opening.fall_due(now);
        }
    }

    /// Returns the settings of TLS and the name that the certificate must show.
    fn tls_to(&self, index: usize) -> Option<(Arc<ClientConfig>, ServerName<'static>)> {
        let plan = self.plan.tls.as_ref()?;
        let name = &plan.names[index % plan.names.len()];
        let name = ServerName::try_from(name.clone()).expect("the coordinator has checked it");
        Some((Arc::clone(self.tls.as_ref()?), name))
    }

    /// Sends the request if the TCP handshake is done.
    pub(super) fn connected(&mut self, index: usize) {
        match self.connections[index].is_connected() {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.end(index, &say(&error)),
        }
        let role = self.connections[index].role;
        let follow = self.connections[index].follow.as_ref();
        let cursor = follow.map(|follow| &follow.cursor).filter(|cursor| !cursor.is_empty());
        let cursor =
            |sign: &str| cursor.map_or_else(String::new, |cursor| format!("{sign}cursor={cursor}"));
        let place = match role {
            ConnectionRole::Rest => return self.opened(index),
            ConnectionRole::Staff { .. } => "/ws".to_owned(),
            ConnectionRole::Hero { hero, stream: true, .. } => {
                format!("/heroes/{}/events{}", self.plan.heroes[hero as usize], cursor("?"))
            }
            ConnectionRole::Hero { hero, .. } => {
                format!("/ws?hero_id={}{}", self.plan.heroes[hero as usize], cursor("&"))
            }
        };
        let token = self.authorization(role);
        let key = upgrade::key(self.random.random());
        let host = &self.plan.hosts[index % self.plan.hosts.len()];
        let upgrade = if matches!(role, ConnectionRole::Hero { stream: true, .. }) {
            String::new()
        } else {
            format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: {key}\r\n"
            )
        };
        let base = &self.plan.path;
        let request = format!("GET {base}{place} HTTP/1.1\r\nHost: {host}\r\n{upgrade}{token}\r\n");
        let connection = &mut self.connections[index];
        connection.state = SocketState::Upgrading(Box::new(Upgrading { key, answer: Vec::new() }));
        if let Err(error) = connection.write(request.as_bytes()) {
            self.end(index, &say(&error));
        }
    }

    /// Returns the header with the token of a connection; empty without authentication.
    pub(super) fn authorization(&self, role: ConnectionRole) -> String {
        let tokens = &self.plan.tokens;
        let token = match role {
            ConnectionRole::Hero { hero, .. } => tokens.heroes.get(hero as usize),
            ConnectionRole::Staff { .. } | ConnectionRole::Rest => tokens.staff.as_ref(),
        };
        token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"))
    }

    pub(super) fn upgrade(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let connection = &mut self.connections[index];
        let SocketState::Upgrading(upgrading) = &mut connection.state else { return Ok(()) };
        upgrading.answer.extend_from_slice(bytes);
        let Some(answer) = upgrade::answer(&upgrading.answer).map_err(|error| error.to_string())?
        else {
            return Ok(());
        };
        let stream = matches!(connection.role, ConnectionRole::Hero { stream: true, .. });
        if answer.status != if stream { 200 } else { 101 } {
            return Err(refusal(answer.status, answer.body));
        }
        if !stream && !upgrade::accepts(&upgrading.key, answer.accept) {
            return Err("the gateway accepted another key than was sent".to_owned());
        }
        let rest = upgrading.answer[answer.length..].to_vec();
        let since = connection.since;
        connection.state = SocketState::Upgraded;
        connection.events = stream.then(Box::default);
        if !self.connections[index].welcomed_before {
            let waited = self.now() - since;
            self.measures.record(Latency::Connect, waited);
        }
        if stream { self.take_events(index, &rest) } else { self.take_frames(index, &rest) }
    }

    pub(super) fn opened(&mut self, index: usize) {
        let now = self.now();
        self.opening.in_progress.remove(&index);
        self.open += 1;
        let connection = &mut self.connections[index];
        connection.attempts = 0;
        connection.state = SocketState::Open(Vec::new());
        let (role, again) = (connection.role, connection.welcomed_before);
        connection.welcomed_before = true;
        if role == ConnectionRole::Rest {
            connection.since = now;
        } else {
            let latency = if again { Latency::Reconnect } else { Latency::Welcome };
            let waited = now.saturating_sub(connection.since);
            self.measures.record(latency, waited);
            self.measures.counts.opened += 1;
            self.open_sockets += 1;
        }
        match role {
            ConnectionRole::Hero { slow: true, .. } => self.watch(index, Interest::WRITABLE),
            ConnectionRole::Staff { .. } => self.say(index, br#"{"type":"watch","max_rate":10}"#),
            ConnectionRole::Hero { .. } | ConnectionRole::Rest => {}
        }
        // Over REST a repeated request takes the connection; its answer gives the credit.
        if !self.ask_again(index) || role != ConnectionRole::Rest {
            self.give_credits(index);
        }
    }

    pub(super) fn watch(&mut self, index: usize, interest: Interest) {
        let registry = self.poll.registry();
        let changed = match self.connections[index].stream() {
            Some(stream) => registry.reregister(stream, Token(index), interest),
            None => Ok(()),
        };
        if let Err(error) = changed {
            self.end(index, &say(&error));
        }
    }

    /// Counts the error of a failed attempt or an unexpected end, and schedules another attempt.
    pub(super) fn end(&mut self, index: usize, why: &str) {
        let now = self.now();
        let was_open = self.connections[index].is_open();
        // A gateway may close an idle REST connection: that is no error.
        let idle_rest = self.connections[index].role == ConnectionRole::Rest
            && was_open
            && !self.placing.waits_on_rest(index);
        if !idle_rest {
            self.measures.error(why);
        }
        self.leave(index);
        let connection = &mut self.connections[index];
        connection.attempts += 1;
        if was_open {
            connection.since = now;
            self.measures.counts.cut += u64::from(connection.role != ConnectionRole::Rest);
        } else if connection.attempts >= MAX_ATTEMPTS && !connection.welcomed_before {
            connection.state = SocketState::GivenUp;
            self.given_up += 1;
            self.measures.counts.given_up += 1;
            return self.leave_out(index);
        }
        let wait = BACK_OFF.after(connection.attempts, &mut self.random).as_micros();
        let wait = u64::try_from(wait).unwrap_or(u64::MAX);
        self.timers.push(Reverse((now.saturating_add(wait), Timer::Open(index))));
    }

    pub(super) fn leave(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if connection.is_open() {
            self.open -= 1;
            self.open_sockets -= u64::from(connection.role != ConnectionRole::Rest);
        }
        connection.close(SocketState::Closed);
        self.opening.in_progress.remove(&index);
        self.placing.abandon(index, self.plan.keys, &mut self.measures.counts);
    }

    /// Ends the handshakes that take too long.
    pub(super) fn give_up_handshakes(&mut self, now: u64) {
        let late = self.opening.in_progress.iter().filter(|(_, since)| *since + PATIENCE < now);
        for index in late.map(|(index, _)| *index).collect::<Vec<_>>() {
            self.end(index, "the gateway did not answer a handshake within 30 s");
        }
    }

    /// Replaces idle REST connections before the gateway closes them.
    pub(super) fn refresh_rest(&mut self, now: u64) {
        for index in self.plan.sockets + self.plan.dashboards..self.connections.len() {
            let connection = &self.connections[index];
            if connection.is_open()
                && connection.since + REST_IDLE < now
                && !self.placing.waits_on_rest(index)
            {
                self.leave(index);
                self.opening.again(index, now);
            }
        }
    }

    /// Excludes a socket that will not have seen everything from the checks.
    pub(super) fn leave_out(&mut self, index: usize) {
        match self.connections[index].role {
            ConnectionRole::Hero { hero, slot, .. } if self.tracker.follows(hero as usize) => {
                self.tracker.leave_out(hero as usize, slot as usize);
            }
            ConnectionRole::Staff { slot } => {
                for hero in 0..self.plan.ordering {
                    self.tracker.leave_out(hero, self.staff_slot(hero, slot));
                }
            }
            ConnectionRole::Hero { .. } | ConnectionRole::Rest => {}
        }
    }

    /// Returns the index in the tracker of a staff socket, for the orders of a hero: behind the
    /// sockets of the hero.
    pub(super) fn staff_slot(&self, hero: usize, slot: u32) -> usize {
        let (heroes, sockets) = (self.plan.heroes.len(), self.plan.sockets);
        sockets / heroes + usize::from(hero < sockets % heroes) + slot as usize
    }
}

/// Describes the error and its remedy.
pub fn say(error: &io::Error) -> String {
    let text = error.to_string();
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind says what it is")]
    match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        ErrorKind::UnexpectedEof => "the gateway hung up".to_owned(),
        ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => {
            "no local port is left: name more addresses of this machine \
             with --source, or widen net.ipv4.ip_local_port_range with sysctl"
                .to_owned()
        }
        _ if error.raw_os_error() == Some(NO_FILES) => {
            "no file is left for a socket: raise the limit with ulimit -n, or use more --processes"
                .to_owned()
        }
        _ => text,
    }
}

pub fn refusal(status: u16, body: &[u8]) -> String {
    let problem: Option<super::received_frame::ProblemFrame<'_>> =
        serde_json::from_slice(body).ok();
    match problem.as_ref().map(super::received_frame::ProblemFrame::slug) {
        Some("too-many-sockets") => {
            "too-many-sockets (429): raise GALLEY_MAX_SOCKETS_PER_HERO of the gateway, or use more --heroes".to_owned()
        }
        Some(slug) => format!("{slug} ({status})"),
        None => format!("an answer of {status}"),
    }
}
