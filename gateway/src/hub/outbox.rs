//! The outgoing queue of one socket, bounded in bytes.
//!
//! The hub pushes updates, the session of the socket takes them. While the session is idle, which
//! is nearly always, the hub writes straight to its connection: no task is woken, and a frame costs
//! a lock and a system call.
//!
//! If the socket does not keep up and the bound is reached, all waiting updates are dropped and
//! only the ids of their orders are kept. The session reads the newest states of these orders from
//! the database and sends them in a `resync`. Reading only these orders keeps the resync short: a
//! longer one would let a hero with thousands of orders per second fall behind again before it
//! ends. If the ids do not fit either, or it is unknown which updates were missed, only the cursor
//! is kept after which updates are missing.
//!
//! A slow socket therefore has a bounded cost in memory, however many orders change: the bound, as
//! much again for the orders of a running resync, and one page of it.
//!
//! An outbox is made of four independent parts: the [queue](update_queue) of updates, the
//! [heartbeat](socket_heartbeat), the [expiry] and the [direct] writer. The outbox holds the lock,
//! decides what comes first, and wakes the session.

mod direct;
mod expiry;
mod socket_heartbeat;
mod update_queue;

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use galley_protocol::{Language, OrderId, ResumeCursor, Version};
use tokio::net::TcpStream;

use super::{Delivery, Notice, ResourceFrame};
use crate::auth::Claims;
use crate::framing::PING;
use crate::versions::{Overtaken, VersionSeen};
use direct::{DirectWriter, Written};
use expiry::{Expiry, TokenNotice};
use socket_heartbeat::{Doubt, LastReceived};
pub use update_queue::Missed;
use update_queue::UpdateQueue;

/// The next work of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Send the frame of this update.
    Frame(Notice),
    /// Send the newest states of the updates that the socket missed.
    Resync(Missed),
    /// Send the hero, or what changed in the menu.
    Resource(ResourceFrame),
    Ping,
    /// Send the hint to reconnect now, and close after this time.
    Leave(Duration),
    Abandon,
    /// Send the notice that the token is about to expire.
    Expiring,
    Expired,
    /// The hero was deleted: close.
    HeroGone,
}

/// The outgoing queue of one socket.
// `repr(C)`: the lock and the first fields of the state must share a cache line.
#[derive(Debug)]
#[repr(C)]
pub struct Outbox {
    waiting: Mutex<OutboxState>,
    bound: u32,
    language: Language,
    last_heard: LastReceived,
    expiry: Expiry,
}

/// The fields are in this order so that a direct write reads only the cache line of the lock.
#[derive(Debug, Default)]
#[repr(C)]
struct OutboxState {
    /// The connection of an idle session without unsent bytes. Closed whenever the session has
    /// something to do.
    direct: DirectWriter,
    /// Queued work of a slow or leaving socket; `None` for a socket that keeps up.
    pending: Option<Box<Backlog>>,
    /// The states that the session sent outside of the deliveries, while older ones may still be
    /// delivered; `None` otherwise.
    sent: Option<Box<Overtaken>>,
    token: TokenNotice,
    /// The version of the hero that the client was sent last, or 0.
    hero_version: i32,
    /// The waker of the session, while it waits.
    session: Option<Waker>,
    doubt: Doubt,
    /// The cursor of the welcome or of the last repair. `None` before the welcome and on a staff
    /// socket, which gets no updates here.
    known: Option<ResumeCursor>,
}

/// Boxed, so that a socket that keeps up needs no memory for it.
#[derive(Debug, Default)]
struct Backlog {
    /// The remainder of a direct write for which the kernel had no room. It goes out before
    /// anything else.
    remainder: Bytes,
    /// The time after which to close the socket, if it is to be closed.
    leave: Option<Duration>,
    /// The newest hero that the client was not sent.
    hero: Option<ResourceFrame>,
    /// The change of the menu that the client was not sent.
    menu: Option<ResourceFrame>,
    queue: UpdateQueue,
}

impl Outbox {
    /// `bound` limits the bytes of updates, or of the ids of missed orders.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            bound: u32::try_from(bound).unwrap_or(u32::MAX),
            language: Language::default(),
            last_heard: LastReceived::now(),
            expiry: Expiry::never(),
        }
    }

    /// Sets the language of the reader.
    #[must_use]
    pub fn speaking(self, language: Language) -> Self {
        Self { language, ..self }
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// Sets the age at which the peer is asked to reconnect.
    #[must_use]
    pub fn living(self, age: Duration) -> Self {
        self.expiry.retire_at(age);
        self
    }

    /// Writes these updates at once, without waking the session, if it is idle and the kernel has
    /// room, and returns true. Otherwise they wait for the session.
    pub fn push(&self, delivery: &Delivery) -> bool {
        let mut waiting = self.lock();
        if waiting.sent.is_some()
            && let Some(kept) = waiting.not_overtaken(&delivery.updates)
        {
            // Not written directly, because the frames of the delivery may contain dropped updates.
            if !kept.is_empty() {
                waiting.pending().queue.push(&kept, self.bound());
                wake(waiting);
            }
            return false;
        }
        if let Some(pending) = &mut waiting.pending
            && pending.queue.is_behind()
        {
            // No reason to wake the session: it is behind, and reads the database anyway.
            pending.queue.push(&delivery.updates, self.bound());
            return false;
        }
        match waiting.write(delivery.frames_in(self.language)) {
            Written::All => return true,
            Written::Part(_) => {}
            Written::Nothing => waiting.pending().queue.push(&delivery.updates, self.bound()),
        }
        wake(waiting);
        false
    }

    /// Sends the hero of the socket, unless the client has this version or a newer one. Returns true
    /// if the frame was written at once. Of heroes that wait for the session, only the newest is
    /// kept.
    pub fn push_hero(&self, version: Version, frame: &ResourceFrame) -> bool {
        let mut waiting = self.lock();
        if version.0 <= waiting.hero_version {
            return false;
        }
        waiting.hero_version = version.0;
        push_resource(waiting, frame, |pending| pending.hero = Some(frame.clone()))
    }

    /// Sends a change of the menu. Returns true if the frame was written at once. `merged` takes the
    /// place of this one and of one that still waits, so that a slow socket keeps no list.
    pub fn push_menu(&self, frame: &ResourceFrame, merged: &ResourceFrame) -> bool {
        push_resource(self.lock(), frame, |pending| {
            let kept = if pending.menu.is_some() { merged } else { frame };
            pending.menu = Some(kept.clone());
        })
    }

    /// Notes that the session is about to send this version of the hero. Older ones are no longer
    /// sent.
    pub fn know_hero(&self, version: Version) {
        let mut waiting = self.lock();
        if version.0 >= waiting.hero_version {
            waiting.hero_version = version.0;
            waiting.take(|pending| {
                pending.hero = None;
                None::<()>
            });
        }
    }

    /// Sets the cursor of the welcome or of a repair. No later repair reads from before it.
    pub fn know(&self, cursor: ResumeCursor) {
        self.lock().known = Some(cursor);
    }

    pub fn known(&self) -> Option<ResumeCursor> {
        self.lock().known
    }

    /// Notes that updates may be missing since `since`, or since the welcome.
    pub fn fall_behind(&self, since: Option<ResumeCursor>) {
        let mut waiting = self.lock();
        let Some(known) = waiting.known else { return };
        let since = since.filter(|since| *since > known).unwrap_or(known);
        waiting.pending().queue.fall_behind(since);
        wake(waiting);
    }

    /// Makes the session read the orders of these updates, which may be outdated.
    pub fn miss(&self, updates: &[Notice]) {
        let mut waiting = self.lock();
        waiting.pending().queue.miss(updates, self.bound());
        wake(waiting);
    }

    /// Notes that the session is about to send these states before the updates that wait. Waiting
    /// updates that are no newer are dropped, or the client would go back to an older state.
    /// `overtaken` drops such updates that arrive later.
    pub fn overtake(&self, sent: &HashMap<OrderId, VersionSeen>, overtaken: Option<Overtaken>) {
        let mut waiting = self.lock();
        match (&mut waiting.sent, overtaken) {
            (Some(before), Some(later)) => before.add(later),
            (none, Some(overtaken)) => *none = Some(Box::new(overtaken)),
            (_, None) => {}
        }
        waiting.take(|pending| {
            pending.queue.drop_outdated(sent);
            None::<()>
        });
    }

    /// Makes the session ask the peer to reconnect, and close the socket after this time.
    pub fn leave(&self, after: Duration) {
        let mut waiting = self.lock();
        waiting.pending().leave = Some(after);
        wake(waiting);
    }

    /// Asks the peer to reconnect, and closes the socket, once it has reached its age.
    pub fn retire(&self) {
        if self.expiry.retires(self.last_heard.age_ms()) {
            self.leave(Duration::ZERO);
        }
    }

    /// Notes a sign of life of the peer.
    pub fn note_life(&self) {
        if self.last_heard.note() {
            // Also cancels a ping that the session has not sent yet. Its answer would end no doubt,
            // because `last_heard` has none any more, and the peer would be given up.
            self.lock().doubt = Doubt::None;
        }
    }

    /// Sends or requests a ping if the peer was silent for `interval`. Gives the peer up if it
    /// stays silent for `timeout` after the ping.
    pub fn beat(&self, interval: Duration, timeout: Duration) {
        if self.last_heard.silence() < interval {
            return;
        }
        let mut waiting = self.lock();
        waiting.settle();
        // Set before the ping is written, because the answer may arrive at once and must find it.
        self.last_heard.doubt();
        let doubt = waiting.doubt;
        waiting.doubt =
            doubt.grow(timeout, || waiting.write(&Bytes::from_static(PING)) != Written::Nothing);
        if waiting.doubt != doubt && waiting.is_any() {
            wake(waiting);
        }
    }

    /// Sets the life of the peer's token. It replaces an earlier token.
    pub fn take_token(&self, claims: Claims) {
        let mut waiting = self.lock();
        self.expiry.set_token(claims);
        waiting.token.renew();
    }

    /// Ends the token of the peer if it is its hero's and was issued in this second or before, in
    /// seconds since the epoch.
    pub fn end_token(&self, second: u64) {
        let mut waiting = self.lock();
        self.expiry.end_token(second);
        if waiting.token.advance(self.expiry.token_left(second)) {
            wake(waiting);
        }
    }

    /// Returns true if the hero of this peer was deleted.
    pub fn is_dismissed(&self) -> bool {
        self.lock().token == TokenNotice::HeroGone
    }

    /// Makes the session close the socket, because its hero was deleted.
    pub fn dismiss(&self) {
        let mut waiting = self.lock();
        waiting.token = TokenNotice::HeroGone;
        wake(waiting);
    }

    /// Announces the expiry of the peer's token a minute ahead, and closes the socket at the
    /// expiry. `now` is in seconds since the epoch.
    pub fn expire(&self, now: u64) {
        if !self.expiry.is_near(now) {
            return;
        }
        let mut waiting = self.lock();
        // Read again under the lock, because a new token may have arrived meanwhile.
        if waiting.token.advance(self.expiry.token_left(now)) {
            wake(waiting);
        }
    }

    pub fn token_left(&self, now: u64) -> Duration {
        self.expiry.token_left(now)
    }

    /// Waits for the next work. Only one task may wait. Cancel safe.
    pub async fn next(&self) -> Out {
        poll_fn(|context| self.poll(context, OutboxState::next)).await
    }

    /// Waits for work that is not delayed by a running resync: everything except frames of orders and
    /// further resyncs. Such a frame between two pages would carry a cursor from which the client would resume
    /// without the remaining pages. Cancel safe.
    pub async fn next_urgent(&self) -> Out {
        poll_fn(|context| self.poll(context, OutboxState::urgent)).await
    }

    /// Becomes ready when there is work, and does not take it. Until then the hub writes to the
    /// connection. The caller must own the connection and have no unsent bytes, and must call
    /// [`Outbox::take_connection_back`] before it writes again.
    pub fn poll_any(&self, context: &mut Context<'_>, connection: &Arc<TcpStream>) -> Poll<()> {
        self.poll(context, |waiting| {
            let is_any = waiting.is_any();
            if !is_any {
                waiting.direct.open(connection);
            }
            is_any.then_some(())
        })
    }

    /// Ends direct writes. Returns the remainder of the last one, which must go out next.
    pub fn take_connection_back(&self) -> Bytes {
        let mut waiting = self.lock();
        waiting.direct.close();
        waiting.take(|pending| Some(std::mem::take(&mut pending.remainder))).unwrap_or_default()
    }

    pub fn try_next(&self) -> Option<Out> {
        self.lock().next()
    }

    fn poll<T>(
        &self,
        context: &mut Context<'_>,
        take: impl FnOnce(&mut OutboxState) -> Option<T>,
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

    fn bound(&self) -> usize {
        usize::try_from(self.bound).unwrap_or(usize::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, OutboxState> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a frame at once if the session is idle, or keeps it.
fn push_resource(
    mut waiting: MutexGuard<'_, OutboxState>,
    frame: &ResourceFrame,
    keep: impl FnOnce(&mut Backlog),
) -> bool {
    match waiting.write(&frame.frame) {
        Written::All => return true,
        Written::Part(_) => {}
        Written::Nothing => keep(waiting.pending()),
    }
    wake(waiting);
    false
}

/// Wakes the session after the lock is released. Ends direct writes, because the waiting work must
/// go out first.
fn wake(mut waiting: MutexGuard<'_, OutboxState>) {
    waiting.direct.close();
    let session = waiting.session.take();
    drop(waiting);
    if let Some(session) = session {
        session.wake();
    }
}

impl OutboxState {
    /// Writes whole frames straight to the connection of an idle session. Keeps the remainder if
    /// the kernel takes only a part.
    fn write(&mut self, frames: &Bytes) -> Written {
        let written = self.direct.write(frames);
        if let Written::Part(length) = written {
            self.pending().remainder = frames.slice(length..);
        }
        written
    }

    /// Returns the updates that are newer than the states that the session sent outside of the
    /// deliveries; `None` if older ones can no longer arrive, so that nothing needs to be filtered.
    fn not_overtaken(&mut self, updates: &[Notice]) -> Option<Vec<Notice>> {
        self.settle();
        let sent = self.sent.as_deref()?;
        Some(updates.iter().filter(|update| sent.is_news(update)).cloned().collect())
    }

    fn settle(&mut self) {
        self.sent.take_if(|sent| sent.settle());
    }

    fn pending(&mut self) -> &mut Backlog {
        self.pending.get_or_insert_default()
    }

    fn take<T>(&mut self, take: impl FnOnce(&mut Backlog) -> Option<T>) -> Option<T> {
        let taken = take(self.pending.as_mut()?);
        self.pending.take_if(|pending| !pending.is_any());
        taken
    }

    fn is_any(&self) -> bool {
        self.doubt.is_due() || self.token.is_due() || self.pending.is_some()
    }

    fn next(&mut self) -> Option<Out> {
        if let Some(urgent) = self.urgent() {
            return Some(urgent);
        }
        if let Some(missed) = self.take(|pending| pending.queue.take_missed()) {
            return Some(Out::Resync(missed));
        }
        self.take(|pending| pending.queue.pop()).map(Out::Frame)
    }

    fn urgent(&mut self) -> Option<Out> {
        if self.doubt == Doubt::Abandoned {
            return Some(Out::Abandon);
        }
        if self.token == TokenNotice::HeroGone {
            return Some(Out::HeroGone);
        }
        if self.token == TokenNotice::Expired {
            return Some(Out::Expired);
        }
        if let Some(after) = self.take(|pending| pending.leave.take()) {
            return Some(Out::Leave(after));
        }
        if self.token.take_announcement() {
            return Some(Out::Expiring);
        }
        // No cursor is in these frames, so they may come between two pages of a resync.
        let resource = |pending: &mut Backlog| pending.hero.take().or_else(|| pending.menu.take());
        if let Some(frame) = self.take(resource) {
            return Some(Out::Resource(frame));
        }
        self.doubt.take_ping().then_some(Out::Ping)
    }
}

impl Backlog {
    fn is_any(&self) -> bool {
        let is_told = self.hero.is_none() && self.menu.is_none() && self.queue.is_empty();
        !self.remainder.is_empty() || self.leave.is_some() || !is_told
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use galley_protocol::{
        HeroId, MealId, Order, OrderId, PlaceOrder, ResumeCursor, Timestamp, Update, Version,
    };
    use galley_store::CursorKeys;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::{Delivery, Missed, Notice, Out, Outbox};
    use crate::auth::{Claims, LEEWAY};
    use crate::framing::PING;
    use crate::hub::safe_cursor::SafeCursor;
    use crate::versions::{Source, VersionSeen, Versions};

    /// Returns the update of a placed order with its whole frame, whose cursor has this position.
    pub(super) fn update(id: i64, position: i64) -> Notice {
        delivery(id, position).updates.remove(0)
    }

    fn delivery(id: i64, position: i64) -> Delivery {
        let order = Order::placed(
            OrderId::new(id).expect("an id"),
            HeroId::FIRST,
            &PlaceOrder::of(MealId::FIRST),
            Timestamp::EPOCH,
        );
        let keys = CursorKeys::of(1, b"secret");
        let mark = Arc::new(SafeCursor::new(cursor(position), &keys));
        Delivery::all(&[Notice::new(&Update::of(&order), &mark)]).next().expect("one")
    }

    pub(super) fn cursor(position: i64) -> ResumeCursor {
        ResumeCursor { position, ..ResumeCursor::EXPIRED }
    }

    /// Returns a connection to write to, and its other end.
    pub(super) async fn connection() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (ours, theirs) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let ours = ours.expect("accepted").0;
        ours.writable().await.expect("open");
        (Arc::new(ours), theirs.expect("connected"))
    }

    pub(super) async fn read(from: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).await.expect("that many");
        bytes
    }

    fn rests(outbox: &Outbox, connection: &Arc<TcpStream>) -> bool {
        let any = std::future::poll_fn(|context| outbox.poll_any(context, connection));
        any.now_or_never().is_none()
    }

    #[tokio::test]
    async fn who_rests_is_written_to_directly_until_the_connection_is_taken_back() {
        let (ours, mut theirs) = connection().await;
        let outbox = Outbox::new(10_000);
        let rests = || rests(&outbox, &ours);
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
            outbox.note_life();
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
        let rests = || rests(&outbox, &ours);
        assert!(rests());
        let delivery = delivery(1, 1);
        let mut whole = 0;
        while outbox.push(&delivery) {
            whole += 1;
        }
        assert!(!rests() && !outbox.push(&delivery), "the session comes first");
        let remainder = outbox.take_connection_back();
        let waiting = std::iter::from_fn(|| outbox.try_next()).count();
        // The last one was cut or, when the kernel was full to the byte, waits as a whole.
        assert_eq!(waiting + usize::from(!remainder.is_empty()), 2);
        let cut = if remainder.is_empty() { 0 } else { delivery.frames.len() - remainder.len() };
        let sent = [&delivery.frames.repeat(whole)[..], &delivery.frames[..cut]].concat();
        assert_eq!(read(&mut theirs, sent.len()).await, sent);
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
    fn what_is_older_than_a_page_is_dropped_while_it_may_still_come() {
        let outbox = Outbox::new(10_000);
        let versions = Versions::default();
        let flight = versions.judge(&[], Source::Bus).flight;
        let second = VersionSeen { version: Version(2), time: Some(Timestamp::EPOCH) };
        let sent = HashMap::from([(OrderId::new(1).expect("an id"), second)]);
        outbox.overtake(
            &sent,
            versions.overtaken(&sent, Timestamp::from_millis(1).expect("in range")),
        );
        outbox.push(&delivery(1, 1));
        assert!(!outbox.lock().is_any(), "it stays idle");
        outbox.push(&Delivery { updates: vec![update(1, 1), update(2, 2)], ..Delivery::default() });
        assert_eq!((outbox.try_next(), outbox.try_next()), (Some(Out::Frame(update(2, 2))), None));
        drop(flight);
        outbox.push(&delivery(1, 1));
        assert_eq!(
            outbox.try_next(),
            Some(Out::Frame(update(1, 1))),
            "what is judged later is judged rightly"
        );
        assert!(outbox.lock().sent.is_none());
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
    fn a_new_token_takes_back_the_notice_about_the_old_one() {
        let outbox = Outbox::new(10);
        let wakes = || outbox.lock().is_any();
        let end = 1_000 + LEEWAY;
        outbox.take_token(Claims::between(1, 1_000));
        outbox.expire(end - 60);
        assert!(wakes());
        assert_eq!(outbox.try_next(), Some(Out::Expiring));
        assert!(!wakes() && outbox.try_next().is_none());
        outbox.take_token(Claims::between(1, 2_000));
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
        let outbox = Outbox::new(10).living(Duration::ZERO);
        outbox.retire();
        outbox.retire();
        assert_eq!(
            (outbox.try_next(), outbox.try_next()),
            (Some(Out::Leave(Duration::ZERO)), None)
        );
    }

    #[test]
    fn who_is_heard_before_it_was_asked_or_given_up_lives() {
        let outbox = Outbox::new(10);
        for _ in 0..2 {
            outbox.beat(Duration::ZERO, Duration::ZERO);
            outbox.note_life();
            assert_eq!(outbox.try_next(), None, "it lives");
        }
        for _ in 0..2 {
            outbox.beat(Duration::ZERO, Duration::ZERO);
            assert_eq!(outbox.try_next(), Some(Out::Ping), "it is asked again");
            outbox.beat(Duration::ZERO, Duration::ZERO);
            assert_eq!(outbox.try_next(), Some(Out::Abandon));
            outbox.note_life();
            assert_eq!(outbox.try_next(), None, "it lives after all");
        }
    }

    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    #[test]
    fn an_outbox_is_as_small_as_documented() {
        assert_eq!(size_of::<Outbox>(), 160, "docs/performance.md says so");
        let read_by_a_delivery = std::mem::offset_of!(super::OutboxState, token);
        assert_eq!(read_by_a_delivery, 3 * size_of::<usize>(), "one line with the lock");
    }
}
