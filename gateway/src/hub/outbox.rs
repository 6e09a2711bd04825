//! The outgoing queue of one socket, bounded in bytes.
//!
//! The hub pushes, the socket's session takes. While a session rests, which is nearly always, the
//! hub writes straight to its connection: no task is woken, and a frame costs a lock and a system
//! call. When the socket does not keep up and the bound is reached, everything that waits is
//! dropped and only kept which orders it was about; the session then reads the newest states of
//! those from the database and sends them in a `resync`, which is soon done, or a hero with
//! thousands of orders a second would be behind again before it ends. When these are too many as
//! well, or nobody knows which were missed, only the moment is kept since which updates are
//! missing. So a slow socket costs a bounded number of bytes, however many orders change: the
//! bound, as much again for the orders of a resync that is under way, and one page of it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use galley_protocol::{OrderId, ResumeCursor};
use rustix::net::SendFlags;
use tokio::net::TcpStream;

use super::{Delivery, Notice};
use crate::auth::LEEWAY;
use crate::framing::PING;
use crate::metrics;
use crate::versions::{Overtaken, State};

/// The next work of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Send the frame of this update.
    Frame(Notice),
    /// Send the newest states of what it was not told.
    Resync(Missed),
    /// Ask the peer whether it lives.
    Ping,
    /// Say goodbye: the hint now, the close after this time.
    Leave(Duration),
    /// The peer is gone.
    Abandon,
    /// Say that the token expires, and when.
    Expiring,
    /// Close: the token has expired.
    Expired,
}

/// The updates that a socket has missed.
#[derive(Clone, Debug, PartialEq)]
pub enum Missed {
    /// Whatever changed since then.
    Since(ResumeCursor),
    /// The present states of these orders.
    Orders {
        /// The orders, one at least.
        ids: BTreeSet<OrderId>,
        /// The earliest cursor of the updates that were missed.
        since: ResumeCursor,
        /// The cursor that the socket would have had it been told them all.
        until: ResumeCursor,
    },
}

/// The outgoing queue of one socket.
#[derive(Debug)]
#[repr(C)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    bound: usize,
    born: Instant,
    heard_ms: AtomicU64,
    /// True if a ping is wanted or was sent, and nothing was heard since.
    doubted: AtomicBool,
    /// When the peer's token expires, in seconds since the epoch.
    expires: AtomicU64,
    /// The age at which the peer is sent away.
    retires_ms: AtomicU64,
}

/// How long before its end the expiry of a token is announced.
const ANNOUNCED: Duration = Duration::from_mins(1);
/// The bytes of an order in a [`BTreeSet`] that is filled by rising ids: 8, in nodes that are half
/// full.
const OF_MISSED: usize = 2 * size_of::<OrderId>();
/// The expiry of a peer that needs no token, and the greatest age of one that may stay.
const NEVER: u64 = u64::MAX;

/// In this order, so that a delivery that writes straight to the connection looks at one line of
/// the cache, the lock's.
#[derive(Debug, Default)]
#[repr(C)]
struct Waiting {
    /// The connection of a session that rests and owes it nothing.
    connection: Option<Arc<TcpStream>>,
    /// Queued work of a slow or leaving socket; `None` for a socket that keeps up.
    pending: Option<Box<Pending>>,
    /// The states that the session sent past the deliveries, while something older may still be
    /// delivered.
    told: Option<Box<Overtaken>>,
    ping: bool,
    abandon: bool,
    token: Token,
    /// The session, while it waits.
    session: Option<Waker>,
    /// When the session took the ping that was not answered yet.
    asked: Option<Instant>,
    /// The cursor of the welcome; `None` on a staff socket, which gets no updates here.
    known: Option<ResumeCursor>,
}

/// The work that waits for the session. Boxed, so that a socket that keeps up needs no memory for
/// it.
#[derive(Debug, Default)]
struct Pending {
    /// The rest of what was written past the session when the kernel had no room for all of it;
    /// goes out before anything else.
    rest: Bytes,
    leave: Option<Duration>,
    /// The updates that were dropped.
    missed: Option<Missed>,
    updates: VecDeque<Notice>,
    /// The size of these updates.
    bytes: usize,
}

/// The notice about the end of the peer's token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Token {
    /// Nothing yet.
    #[default]
    Good,
    /// The end is near.
    Expiring,
    /// Nothing more until it comes.
    Announced,
    /// The end has come.
    Expired,
}

impl Outbox {
    /// An empty outbox in which at most `bound` bytes wait, of updates or of the orders that were
    /// missed.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            bound,
            born: Instant::now(),
            heard_ms: AtomicU64::new(0),
            doubted: AtomicBool::new(false),
            expires: AtomicU64::new(NEVER),
            retires_ms: AtomicU64::new(NEVER),
        }
    }

    /// The same for a peer that is sent away at this age.
    #[must_use]
    pub fn living(self, age: Duration) -> Self {
        self.retires_ms.store(u64::try_from(age.as_millis()).unwrap_or(NEVER), Ordering::Relaxed);
        self
    }

    /// Tells these updates: at once when the session rests and the kernel has room, and then
    /// without waking it; else they wait for the session. At the bound all that waits is dropped
    /// for a later resync. Says whether they went out at once.
    pub fn push(&self, delivery: &Delivery) -> bool {
        let mut waiting = self.lock();
        if waiting.told.is_some()
            && let Some(kept) = waiting.not_overtaken(&delivery.updates)
        {
            if !kept.is_empty() {
                waiting.pending().put(&kept, self.bound);
                wake(waiting);
            }
            return false;
        }
        if let Some(missed) = waiting.pending.as_mut().and_then(|pending| pending.missed.as_mut()) {
            missed.add(&delivery.updates, self.bound);
            return false;
        }
        match waiting.write(&delivery.frames) {
            Written::All => return true,
            Written::Part => {}
            Written::Nothing => waiting.pending().add(&delivery.updates, self.bound),
        }
        wake(waiting);
        false
    }

    /// Sets the cursor of the welcome: a repair never goes back behind it.
    pub fn know(&self, cursor: ResumeCursor) {
        self.lock().known = Some(cursor);
    }

    /// The cursor of the welcome or of the last repair; `None` before the welcome.
    pub fn known(&self) -> Option<ResumeCursor> {
        self.lock().known
    }

    /// Updates may be missing since `since`, or since the welcome.
    pub fn fall_behind(&self, since: Option<ResumeCursor>) {
        let mut waiting = self.lock();
        let Some(known) = waiting.known else { return };
        let since = since.filter(|since| *since > known).unwrap_or(known);
        waiting.pending().fall_behind(since);
        wake(waiting);
    }

    /// These orders became something that the socket shall read.
    pub fn miss(&self, updates: &[Notice]) {
        let mut waiting = self.lock();
        waiting.pending().miss(updates, self.bound);
        wake(waiting);
    }

    /// These states are about to be told past the updates that wait: those that are no newer are
    /// dropped, or they would take the socket back. So are those that still come.
    pub fn overtake(&self, told: &HashMap<OrderId, State>, overtaken: Option<Overtaken>) {
        let mut waiting = self.lock();
        match (&mut waiting.told, overtaken) {
            (Some(before), Some(later)) => before.add(later),
            (none, Some(overtaken)) => *none = Some(Box::new(overtaken)),
            (_, None) => {}
        }
        waiting.take(|pending| {
            pending.updates.retain(|update| {
                told.get(&update.order_id).is_none_or(|state| update.version > state.version)
            });
            pending.bytes = pending.updates.iter().map(|update| update.frame.len()).sum();
            None::<()>
        });
    }

    /// The gateway leaves: the close shall come after this time.
    pub fn leave(&self, after: Duration) {
        let mut waiting = self.lock();
        waiting.pending().leave = Some(after);
        wake(waiting);
    }

    /// Sends the peer away when it is old enough.
    pub fn retire(&self) {
        if self.age_ms() >= self.retires_ms.load(Ordering::Relaxed) {
            self.retires_ms.store(NEVER, Ordering::Relaxed);
            self.leave(Duration::ZERO);
        }
    }

    /// The peer has shown that it lives.
    pub fn heard(&self) {
        self.heard_ms.store(self.age_ms(), Ordering::Relaxed);
        if self.doubted.swap(false, Ordering::Relaxed) {
            let mut waiting = self.lock();
            // The ping, too, that the session has not come to: with no doubt left its answer would
            // end nothing.
            (waiting.ping, waiting.asked, waiting.abandon) = (false, None, false);
        }
    }

    /// Asks for a ping when the peer was silent for `interval`, gives the peer up when it stayed
    /// silent for `timeout` after it.
    pub fn beat(&self, interval: Duration, timeout: Duration) {
        let silent = Duration::from_millis(
            self.age_ms().saturating_sub(self.heard_ms.load(Ordering::Relaxed)),
        );
        if silent < interval {
            return;
        }
        let mut waiting = self.lock();
        waiting.settle();
        // Before anything is written: the answer may come at once, and must find the doubt that it
        // ends.
        self.doubted.store(true, Ordering::Relaxed);
        match waiting.asked {
            // Until the session comes to it, the peer has not been asked.
            None if waiting.ping => return,
            None => match waiting.write(&Bytes::from_static(PING)) {
                Written::Nothing => waiting.ping = true,
                Written::Part => waiting.asked = Some(Instant::now()),
                Written::All => {
                    waiting.asked = Some(Instant::now());
                    return;
                }
            },
            Some(asked) if asked.elapsed() >= timeout => waiting.abandon = true,
            Some(_) => return,
        }
        wake(waiting);
    }

    /// The peer's token is good until then, in seconds since the epoch. A later token takes the
    /// place of the one before.
    pub fn good_until(&self, expires: u64) {
        let mut waiting = self.lock();
        self.expires.store(expires, Ordering::Relaxed);
        waiting.token = Token::Good;
    }

    /// Announces the end of the peer's token a minute ahead, and closes when it is there.
    pub fn expire(&self, now: u64) {
        if self.token_left(now) > ANNOUNCED {
            return;
        }
        let mut waiting = self.lock();
        // Again, because a new token may have come meanwhile.
        waiting.token = match (self.token_left(now), waiting.token) {
            (Duration::ZERO, _) => Token::Expired,
            (left, Token::Good) if left <= ANNOUNCED => Token::Expiring,
            _ => return,
        };
        wake(waiting);
    }

    /// How long the peer's token is still good.
    pub fn token_left(&self, now: u64) -> Duration {
        Duration::from_secs(
            self.expires.load(Ordering::Relaxed).saturating_add(LEEWAY).saturating_sub(now),
        )
    }

    /// Waits for something to do. Only one may wait. Safe to drop while it waits.
    pub async fn next(&self) -> Out {
        poll_fn(|context| self.poll(context, Waiting::next)).await
    }

    /// The same of what must not wait for a resync to end: everything but frames, and another
    /// resync. A frame between two pages would carry a cursor with which a client could miss the
    /// pages that it has not got yet.
    pub async fn next_urgent(&self) -> Out {
        poll_fn(|context| self.poll(context, Waiting::urgent)).await
    }

    /// Ready when there is something to do, which is left where it is. Until then others write to
    /// the connection: whoever waits must own it, owe it nothing, and take it back before anything
    /// else.
    pub fn poll_any(&self, context: &mut Context<'_>, connection: &Arc<TcpStream>) -> Poll<()> {
        self.poll(context, |waiting| {
            let is_any = waiting.is_any();
            if !is_any && waiting.connection.is_none() {
                waiting.connection = Some(Arc::clone(connection));
            }
            is_any.then_some(())
        })
    }

    /// From now on nobody else writes to the connection. Gives what must go out next.
    pub fn take_connection_back(&self) -> Bytes {
        let mut waiting = self.lock();
        waiting.connection = None;
        waiting.take(|pending| Some(std::mem::take(&mut pending.rest))).unwrap_or_default()
    }

    /// Takes what is to be done next, if anything.
    pub fn try_next(&self) -> Option<Out> {
        self.lock().next()
    }

    fn poll<T>(
        &self,
        context: &mut Context<'_>,
        take: impl FnOnce(&mut Waiting) -> Option<T>,
    ) -> Poll<T> {
        let mut waiting = self.lock();
        if let Some(taken) = take(&mut waiting) {
            return Poll::Ready(taken);
        }
        match &mut waiting.session {
            Some(session) => session.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the session, after the lock is given back.
fn wake(mut waiting: MutexGuard<'_, Waiting>) {
    let session = waiting.session.take();
    drop(waiting);
    if let Some(session) = session {
        session.wake();
    }
}

/// How much was written past the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// Everything.
    All,
    /// Some; the session writes the rest.
    Part,
    /// Nothing: the session does not rest, or the connection takes nothing, and the session finds
    /// out why.
    Nothing,
}

impl Waiting {
    /// Writes whole frames past a session that rests.
    fn write(&mut self, frames: &Bytes) -> Written {
        let Some(connection) = self.connection.as_ref().filter(|_| !self.is_any()) else {
            return Written::Nothing;
        };
        // Past tokio's note of whether there is room, which would have to be fetched from memory
        // for each socket: it says so nearly always.
        match rustix::net::send(connection, frames, SendFlags::empty()) {
            Ok(written) if written == frames.len() => Written::All,
            Ok(written) if written > 0 => {
                self.pending().rest = frames.slice(written..);
                Written::Part
            }
            Ok(_) | Err(_) => Written::Nothing,
        }
    }

    /// Returns those updates that are newer than what the session told past them, while older ones
    /// may still come.
    fn not_overtaken(&mut self, updates: &[Notice]) -> Option<Vec<Notice>> {
        self.settle();
        let told = self.told.as_deref()?;
        Some(updates.iter().filter(|update| told.is_news(update)).cloned().collect())
    }

    /// Gives back the memory of what was told once nothing older can come.
    fn settle(&mut self) {
        self.told.take_if(|told| told.settle());
    }

    fn pending(&mut self) -> &mut Pending {
        self.pending.get_or_insert_default()
    }

    /// Takes something of what is pending, and gives the memory back when that was all.
    fn take<T>(&mut self, take: impl FnOnce(&mut Pending) -> Option<T>) -> Option<T> {
        let taken = take(self.pending.as_mut()?);
        self.pending.take_if(|pending| !pending.is_any());
        taken
    }

    fn next(&mut self) -> Option<Out> {
        if let Some(urgent) = self.urgent() {
            return Some(urgent);
        }
        // Cleared before the database is read: what is pushed from now on waits behind the resync.
        if let Some(missed) = self.take(|pending| pending.missed.take()) {
            return Some(Out::Resync(missed));
        }
        self.take(|pending| {
            let update = pending.updates.pop_front()?;
            pending.bytes -= update.frame.len();
            Some(Out::Frame(update))
        })
    }

    fn is_any(&self) -> bool {
        let of_token = matches!(self.token, Token::Expiring | Token::Expired);
        self.abandon || of_token || self.ping || self.pending.is_some()
    }

    fn urgent(&mut self) -> Option<Out> {
        if self.abandon {
            return Some(Out::Abandon);
        }
        if self.token == Token::Expired {
            return Some(Out::Expired);
        }
        if let Some(after) = self.take(|pending| pending.leave.take()) {
            return Some(Out::Leave(after));
        }
        if self.token == Token::Expiring {
            self.token = Token::Announced;
            return Some(Out::Expiring);
        }
        std::mem::take(&mut self.ping).then(|| {
            self.asked = Some(Instant::now());
            Out::Ping
        })
    }
}

impl Pending {
    fn is_any(&self) -> bool {
        !self.rest.is_empty()
            || self.leave.is_some()
            || self.missed.is_some()
            || !self.updates.is_empty()
    }

    /// Adds updates, behind what was missed before them.
    fn put(&mut self, updates: &[Notice], bound: usize) {
        match &mut self.missed {
            Some(missed) => missed.add(updates, bound),
            None => self.add(updates, bound),
        }
    }

    fn add(&mut self, updates: &[Notice], bound: usize) {
        let bytes = updates.iter().map(|update| update.frame.len()).sum::<usize>();
        if self.bytes + bytes <= bound {
            self.bytes += bytes;
            self.updates.extend(updates.iter().cloned());
            return;
        }
        self.miss(updates, bound);
        ::metrics::counter!(metrics::SOCKETS_BEHIND).increment(1);
    }

    /// These are to be read, and so are those that wait.
    fn miss<'a>(&mut self, updates: impl IntoIterator<Item = &'a Notice>, bound: usize) {
        let dropped = std::mem::take(&mut self.updates);
        self.bytes = 0;
        let mut add = |update: &Notice| {
            let none = Missed::Orders {
                ids: BTreeSet::new(),
                since: update.mark.cursor,
                until: update.mark.cursor,
            };
            self.missed.get_or_insert(none).add([update], bound);
        };
        dropped.iter().for_each(&mut add);
        updates.into_iter().for_each(add);
    }

    /// Updates are missing since then, and so are those that wait: the oldest moment counts.
    fn fall_behind(&mut self, since: ResumeCursor) {
        let waits = self.updates.front().map(|update| update.mark.cursor);
        let missed = self.missed.as_ref().map(Missed::since);
        let since = [missed, waits].into_iter().flatten().fold(since, ResumeCursor::min);
        self.missed = Some(Missed::Since(since));
        self.updates = VecDeque::new();
        self.bytes = 0;
    }
}

impl Missed {
    /// Where a client must begin again that is not told all of it.
    pub fn since(&self) -> ResumeCursor {
        match self {
            Self::Since(since) | Self::Orders { since, .. } => *since,
        }
    }

    /// These were missed, too. Orders that take more than `bound` bytes are no longer told apart.
    fn add<'a>(&mut self, updates: impl IntoIterator<Item = &'a Notice>, bound: usize) {
        let Self::Orders { ids, since, until } = self else { return };
        for update in updates {
            ids.insert(update.order_id);
            *since = update.mark.cursor.min(*since);
            *until = update.mark.cursor;
        }
        if ids.len() * OF_MISSED > bound {
            *self = Self::Since(*since);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use galley_protocol::{
        HeroId, MealId, Order, OrderId, ResumeCursor, Timestamp, Update, Version,
    };
    use galley_store::CursorKeys;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::{Delivery, LEEWAY, Missed, Notice, OF_MISSED, Out, Outbox};
    use crate::framing::PING;
    use crate::hub::mark::Mark;
    use crate::versions::{Source, State, Versions};

    /// An order that was placed, told at this position, with its whole frame.
    fn update(id: i64, position: i64) -> Notice {
        delivery(id, position).updates.remove(0)
    }

    fn delivery(id: i64, position: i64) -> Delivery {
        let order = Order::placed(
            OrderId::new(id).expect("an id"),
            HeroId::FIRST,
            MealId::FIRST,
            Timestamp::EPOCH,
        );
        let keys = CursorKeys::of(1, b"secret");
        let mark = Arc::new(Mark::new(cursor(position), &keys));
        Delivery::all(&[Notice::new(&Update::of(&order), &mark)]).next().expect("one")
    }

    fn cursor(position: i64) -> ResumeCursor {
        ResumeCursor { position, ..ResumeCursor::EXPIRED }
    }

    #[tokio::test]
    async fn frames_come_out_in_the_order_they_went_in() {
        let outbox = Outbox::new(10_000);
        for id in 1..=3 {
            outbox.push(&delivery(id, id));
        }
        for id in 1..=3 {
            assert_eq!(outbox.next().await, Out::Frame(update(id, id)));
        }
        assert_eq!(outbox.try_next(), None);
    }

    #[test]
    fn at_the_bound_only_the_orders_are_kept_and_when_they_are_too_many_only_the_moment() {
        let bound = 2 * update(1, 1_000).frame.len();
        let outbox = Outbox::new(bound);
        for (id, millis) in [(7, 2_000), (3, 1_000), (8, 3_000), (3, 5_000), (9, 4_000)] {
            outbox.push(&delivery(id, millis));
        }
        let ids = [3, 7, 8, 9].map(|id| OrderId::new(id).expect("an id")).into();
        let missed = Missed::Orders { ids, since: cursor(1_000), until: cursor(4_000) };
        assert_eq!(outbox.try_next(), Some(Out::Resync(missed)));
        outbox.push(&delivery(9, 9_000));
        assert_eq!(outbox.try_next(), Some(Out::Frame(update(9, 9_000))));

        let most = i64::try_from(bound / OF_MISSED).expect("few");
        for id in 1..=most {
            outbox.push(&delivery(id, 1_000 * id));
        }
        assert!(
            matches!(outbox.try_next(), Some(Out::Resync(Missed::Orders { ids, .. })) if ids.len() == bound / OF_MISSED)
        );
        for id in 1..=most + 9 {
            outbox.push(&delivery(id, 1_000 * id));
        }
        assert_eq!(outbox.try_next(), Some(Out::Resync(Missed::Since(cursor(1_000)))));
    }

    /// A connection to write to, and its other end.
    async fn connection() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (ours, theirs) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let ours = ours.expect("accepted").0;
        ours.writable().await.expect("open");
        (Arc::new(ours), theirs.expect("connected"))
    }

    async fn read(from: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).await.expect("that many");
        bytes
    }

    #[tokio::test]
    async fn who_rests_is_written_to_directly_until_the_connection_is_taken_back() {
        let (ours, mut theirs) = connection().await;
        let outbox = Outbox::new(10_000);
        let rests = || {
            std::future::poll_fn(|context| outbox.poll_any(context, &ours)).now_or_never().is_none()
        };
        let delivery = delivery(1, 1);
        assert!(!outbox.push(&delivery), "nobody has given a connection");
        assert!(!rests(), "there is something to do");
        assert_eq!(outbox.next().await, Out::Frame(update(1, 1)));

        assert!(rests() && outbox.push(&delivery) && outbox.push(&delivery));
        assert_eq!(
            read(&mut theirs, 2 * delivery.frames.len()).await,
            [&delivery.frames[..]; 2].concat()
        );
        for _ in 0..2 {
            outbox.beat(Duration::ZERO, Duration::ZERO);
            assert_eq!(read(&mut theirs, 2).await, PING);
            assert!(outbox.lock().session.is_some(), "the session is not woken for it");
            outbox.heard();
        }
        assert_eq!(outbox.try_next(), None);

        assert_eq!(outbox.take_connection_back(), "");
        assert!(!outbox.push(&delivery));
        assert_eq!(outbox.next().await, Out::Frame(update(1, 1)));
    }

    #[tokio::test]
    async fn what_the_kernel_does_not_take_is_left_to_the_session() {
        let (ours, mut theirs) = connection().await;
        let outbox = Outbox::new(10_000);
        let rests = || {
            std::future::poll_fn(|context| outbox.poll_any(context, &ours)).now_or_never().is_none()
        };
        assert!(rests());
        let delivery = delivery(1, 1);
        let mut whole = 0;
        while outbox.push(&delivery) {
            whole += 1;
        }
        assert!(!rests() && !outbox.push(&delivery), "the session comes first");
        let rest = outbox.take_connection_back();
        let waiting = std::iter::from_fn(|| outbox.try_next()).count();
        // The last one was cut or, when the kernel was full to the byte, waits as a whole.
        assert_eq!(waiting + usize::from(!rest.is_empty()), 2);
        let cut = if rest.is_empty() { 0 } else { delivery.frames.len() - rest.len() };
        let told = [&delivery.frames.repeat(whole)[..], &delivery.frames[..cut]].concat();
        assert_eq!(read(&mut theirs, told.len()).await, told);
    }

    #[test]
    fn a_repair_goes_back_to_what_was_heard_but_not_behind_the_welcome() {
        let outbox = Outbox::new(10_000);
        outbox.fall_behind(Some(cursor(5)));
        assert_eq!(
            outbox.try_next(),
            None,
            "a socket without a welcome reads everything in its welcome"
        );
        outbox.know(cursor(100));
        outbox.push(&delivery(1, 150));
        outbox.fall_behind(Some(cursor(50)));
        outbox.fall_behind(Some(cursor(200)));
        assert_eq!(outbox.try_next(), Some(Out::Resync(Missed::Since(cursor(100)))));
        assert_eq!(outbox.try_next(), None);
        outbox.push(&delivery(2, 250));
        outbox.fall_behind(Some(cursor(300)));
        assert_eq!(
            outbox.try_next(),
            Some(Out::Resync(Missed::Since(cursor(250)))),
            "what waited is not lost"
        );
    }

    #[test]
    fn what_may_be_outdated_is_read_and_so_is_what_waits() {
        let outbox = Outbox::new(10_000);
        outbox.push(&delivery(1, 5));
        outbox.miss(&[update(2, 3)]);
        outbox.push(&delivery(3, 9));
        let ids = [1, 2, 3].map(|id| OrderId::new(id).expect("an id")).into();
        let missed = Missed::Orders { ids, since: cursor(3), until: cursor(9) };
        assert_eq!((outbox.try_next(), outbox.try_next()), (Some(Out::Resync(missed)), None));
    }

    #[test]
    fn what_waits_and_is_no_newer_than_what_is_told_before_it_is_dropped() {
        let outbox = Outbox::new(3 * update(1, 1).frame.len());
        for id in 1..=3 {
            outbox.push(&delivery(id, id));
        }
        let [old, same, unknown] = [1, 2, 4].map(|id| OrderId::new(id).expect("an id"));
        let told =
            [(old, Version::FIRST.next()), (same, Version::FIRST), (unknown, Version::FIRST)];
        let told = told
            .map(|(order_id, version)| (order_id, State { version, time: Some(Timestamp::EPOCH) }));
        outbox.overtake(&HashMap::from(told), None);
        for id in 4..=5 {
            outbox.push(&delivery(id, id));
        }
        for id in 3..=5 {
            assert_eq!(outbox.try_next(), Some(Out::Frame(update(id, id))), "there was room again");
        }
        assert_eq!(outbox.try_next(), None);
    }

    #[test]
    fn what_is_older_than_a_page_is_dropped_while_it_may_still_come() {
        let outbox = Outbox::new(10_000);
        let versions = Versions::default();
        let flight = versions.judge(&[], Source::Bus).flight;
        let second = State { version: Version(2), time: Some(Timestamp::EPOCH) };
        let told = HashMap::from([(OrderId::new(1).expect("an id"), second)]);
        outbox.overtake(
            &told,
            versions.overtaken(&told, Timestamp::from_millis(1).expect("in range")),
        );
        outbox.push(&delivery(1, 1));
        assert!(!outbox.lock().is_any(), "it stays idle");
        outbox.push(&Delivery {
            updates: vec![update(1, 1), update(2, 2)],
            frames: bytes::Bytes::new(),
        });
        assert_eq!((outbox.try_next(), outbox.try_next()), (Some(Out::Frame(update(2, 2))), None));
        drop(flight);
        outbox.push(&delivery(1, 1));
        assert_eq!(
            outbox.try_next(),
            Some(Out::Frame(update(1, 1))),
            "what is judged later is judged rightly"
        );
        assert!(outbox.lock().told.is_none());
    }

    #[tokio::test]
    async fn frames_wait_for_the_end_of_a_resync_and_nothing_else_does() {
        let outbox = Outbox::new(10_000);
        outbox.know(cursor(1));
        outbox.push(&delivery(1, 5));
        outbox.leave(Duration::ZERO);
        assert_eq!(outbox.next_urgent().await, Out::Leave(Duration::ZERO));
        assert!(outbox.next_urgent().now_or_never().is_none());
        assert_eq!(outbox.next().await, Out::Frame(update(1, 5)));
        outbox.fall_behind(None);
        assert!(outbox.next_urgent().now_or_never().is_none());
        assert_eq!(outbox.next().await, Out::Resync(Missed::Since(cursor(1))));
    }

    #[test]
    fn the_end_of_a_token_is_announced_once_and_then_comes_unless_there_is_a_new_one() {
        let outbox = Outbox::new(10);
        let wakes = || outbox.lock().is_any();
        outbox.expire(u64::MAX / 2);
        assert_eq!(outbox.try_next(), None, "who needs no token keeps it");
        let end = 1_000 + LEEWAY;
        outbox.good_until(1_000);
        outbox.expire(end - 61);
        assert_eq!(outbox.try_next(), None);
        for _ in 0..2 {
            outbox.expire(end - 60);
        }
        assert!(wakes());
        assert_eq!(
            (outbox.try_next(), outbox.token_left(end - 60)),
            (Some(Out::Expiring), Duration::from_mins(1))
        );
        assert!(!wakes() && outbox.try_next().is_none());
        outbox.good_until(2_000);
        outbox.expire(end);
        assert_eq!(outbox.try_next(), None);
        outbox.expire(end + 999);
        assert_eq!(outbox.try_next(), Some(Out::Expiring));
        outbox.expire(end + 1_000);
        assert!(wakes());
        assert_eq!(outbox.try_next(), Some(Out::Expired));
    }

    #[test]
    fn who_is_old_enough_is_sent_away_once() {
        let young = Outbox::new(10).living(Duration::from_hours(1));
        young.retire();
        assert_eq!(young.try_next(), None);
        let old = Outbox::new(10).living(Duration::ZERO);
        old.retire();
        old.retire();
        assert_eq!((old.try_next(), old.try_next()), (Some(Out::Leave(Duration::ZERO)), None));
    }

    #[test]
    fn a_silent_peer_is_asked_once_and_then_given_up() {
        let outbox = Outbox::new(10);
        outbox.beat(Duration::ZERO, Duration::ZERO);
        outbox.beat(Duration::ZERO, Duration::ZERO);
        assert_eq!(outbox.try_next(), Some(Out::Ping), "who was not asked is not given up");
        outbox.beat(Duration::ZERO, Duration::from_mins(1));
        assert_eq!(outbox.try_next(), None);
        outbox.beat(Duration::ZERO, Duration::ZERO);
        assert_eq!(outbox.try_next(), Some(Out::Abandon));
        outbox.heard();
        assert_eq!(outbox.try_next(), None, "it lives after all");
    }

    #[test]
    fn who_is_heard_before_it_was_asked_is_not_given_up_for_it() {
        let outbox = Outbox::new(10);
        for _ in 0..2 {
            outbox.beat(Duration::ZERO, Duration::ZERO);
            outbox.heard();
            assert_eq!(outbox.try_next(), None, "it lives");
        }
        outbox.beat(Duration::ZERO, Duration::ZERO);
        assert_eq!(outbox.try_next(), Some(Out::Ping));
        outbox.heard();
        outbox.beat(Duration::ZERO, Duration::ZERO);
        assert_eq!(outbox.try_next(), Some(Out::Ping), "it is asked again");
    }
}
