//! Reading connections and handling what arrives.

use std::time::{SystemTime, UNIX_EPOCH};

use galley_protocol::Status;
use rand::RngExt as _;

use super::connecting::say;
use super::connection::{ConnectionRole, SocketState};
use super::frame_parser::{Opcode, put_frame};
use super::received_frame::{self, FrameKind, ReceivedFrame, ResumeKind, is_welcome};
use super::tracker::{FirstEnd, Way};
use super::{BUFFER, Engine, Phase};
use crate::measures::Latency;

impl Engine {
    /// Handles a readiness event of a connection.
    pub(super) fn happened(&mut self, index: usize, readable: bool, writable: bool, ended: bool) {
        if matches!(self.connections[index].state, SocketState::Connecting) {
            if writable || ended {
                self.connected(index);
            }
            return;
        }
        if readable {
            self.read(index, ended, BUFFER);
        }
        // With TLS, the last step of the handshake was perhaps just read.
        let tls = self.connections[index].is_tls();
        if (writable || tls)
            && let Err(error) = self.connections[index].flush()
        {
            self.end(index, &say(&error));
        }
    }

    /// Reads everything that has arrived; with `most` below [`BUFFER`], reads only once and at most
    /// that many bytes.
    pub(super) fn read(&mut self, index: usize, ended: bool, most: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.connections[index].read(&mut buffer[..most]) {
                Ok(Some(length)) => {
                    self.measures.counts.bytes += length as u64;
                    if let Err(why) = self.take(index, &buffer[..length]) {
                        self.end(index, &why);
                        break;
                    }
                    // A short read means that nothing else has arrived, unless the end of the
                    // connection follows.
                    let more = ended || self.connections[index].is_tls();
                    if most < BUFFER || length < most && !more {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    self.end(index, &say(&error));
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    fn take(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        match &self.connections[index].state {
            SocketState::Upgrading(_) => self.upgrade(index, bytes),
            SocketState::Open(_) if self.connections[index].role == ConnectionRole::Rest => {
                self.take_answer(index, bytes)
            }
            SocketState::Upgraded | SocketState::Open(_)
                if self.connections[index].events.is_some() =>
            {
                self.take_events(index, bytes)
            }
            SocketState::Upgraded | SocketState::Open(_) => self.take_frames(index, bytes),
            SocketState::Closed | SocketState::Connecting | SocketState::GivenUp => Ok(()),
        }
    }

    pub(super) fn take_frames(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let mut parser = std::mem::take(&mut self.connections[index].parser);
        let generation = self.connections[index].generation;
        let mut wrong = None;
        let parsed = parser.read(bytes, |opcode, payload| {
            if wrong.is_none()
                && let Err(why) = self.receive(index, opcode, payload)
            {
                wrong = Some(why);
            }
        });
        if let Some(why) = wrong {
            return Err(why);
        }
        parsed.map_err(|violation| format!("the gateway sent {violation}"))?;
        let connection = &mut self.connections[index];
        if connection.generation == generation {
            connection.parser = parser;
        }
        Ok(())
    }

    pub(super) fn take_events(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let Some(mut events) = self.connections[index].events.take() else { return Ok(()) };
        let generation = self.connections[index].generation;
        let mut wrong = Ok(());
        let read = events.read(bytes, |frame| {
            if wrong.is_ok() {
                self.measures.counts.frames += 1;
                wrong = self.hear_text(index, frame);
            }
        });
        wrong.and(read)?;
        let connection = &mut self.connections[index];
        if connection.generation == generation {
            connection.events = Some(events);
        }
        Ok(())
    }

    fn receive(&mut self, index: usize, opcode: Opcode, payload: &[u8]) -> Result<(), String> {
        match opcode {
            Opcode::Text => {
                self.measures.counts.frames += 1;
                self.hear_text(index, payload)
            }
            Opcode::Ping => {
                self.measures.counts.pings += 1;
                self.send(index, Opcode::Pong, payload);
                Ok(())
            }
            Opcode::Pong => Ok(()),
            Opcode::Close => Err(match payload.first_chunk::<2>() {
                Some(code) => format!("the gateway closed with {}", u16::from_be_bytes(*code)),
                None => "the gateway closed without a code".to_owned(),
            }),
        }
    }

    fn hear_text(&mut self, index: usize, text: &[u8]) -> Result<(), String> {
        let connection = &self.connections[index];
        if connection.follow.is_none() && !matches!(connection.state, SocketState::Upgraded) {
            return Ok(()); // the hero does not order: there is nothing to check
        }
        if connection.follow.is_none() && is_welcome(text) {
            self.opened(index);
            return Ok(());
        }
        let frame: ReceivedFrame<'_> = serde_json::from_slice(text)
            .map_err(|error| format!("a frame that cannot be read: {error}"))?;
        if matches!(connection.state, SocketState::Upgraded) && frame.kind != FrameKind::Welcome {
            return Err("the first frame is no welcome".to_owned());
        }
        match frame.kind {
            FrameKind::Welcome => self.welcome(index, &frame),
            FrameKind::Order => self.update(index, &frame),
            FrameKind::Resync | FrameKind::Feed => {
                self.measures.counts.resyncs += u64::from(frame.kind == FrameKind::Resync);
                self.see_all(index, &frame.orders);
            }
            FrameKind::Reply => self.accepted(&frame),
            FrameKind::Error => self.refused(&frame),
            FrameKind::Other => {}
        }
        if let (Some(cursor), Some(follow)) = (frame.cursor, &mut self.connections[index].follow) {
            follow.cursor.clear();
            follow.cursor.push_str(cursor);
        }
        Ok(())
    }

    fn welcome(&mut self, index: usize, frame: &ReceivedFrame<'_>) {
        let connection = &self.connections[index];
        // A new socket is not sent orders that ended before it was opened. It is expected to know
        // those that are placed from now on.
        let during_load = !matches!(self.phase, Phase::Ramp | Phase::Ready);
        let late = during_load && frame.resume != Some(ResumeKind::Resumed);
        match connection.role {
            ConnectionRole::Hero { hero, slot, .. } if late => {
                if self.tracker.follows(hero as usize) {
                    self.tracker.check_from(hero as usize, slot as usize, self.now());
                }
            }
            ConnectionRole::Staff { .. } if late || connection.welcomed_before => {
                self.leave_out(index);
            }
            ConnectionRole::Hero { .. } | ConnectionRole::Staff { .. } | ConnectionRole::Rest => {}
        }
        self.opened(index);
        self.see_all(index, &frame.orders);
    }

    fn see_all(&mut self, index: usize, states: &[received_frame::ReceivedState]) {
        let now = self.now();
        for state in states {
            let place = match self.connections[index].role {
                ConnectionRole::Hero { hero, slot, .. } => {
                    // `None` for an order that is not checked.
                    self.tracker.follows(hero as usize).then_some((hero as usize, slot as usize))
                }
                ConnectionRole::Staff { slot } => {
                    let hero = self.placing.hero_with(state.hero_id);
                    hero.map(|hero| (hero, self.staff_slot(hero, slot)))
                }
                ConnectionRole::Rest => None,
            };
            if let Some((hero, slot)) = place {
                let end = self.tracker.see(
                    hero,
                    slot,
                    state,
                    Way::Merged,
                    now,
                    &mut self.measures.counts,
                );
                self.end_seen(end);
            }
        }
    }

    fn update(&mut self, index: usize, frame: &ReceivedFrame<'_>) {
        let (ConnectionRole::Hero { hero, slot, slow, .. }, Some(state)) =
            (self.connections[index].role, &frame.order)
        else {
            return;
        };
        if !slow {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
            let changed = u128::try_from(state.changed()).unwrap_or(0) * 1_000;
            self.measures.record(
                Latency::Push,
                u64::try_from(now.saturating_sub(changed)).unwrap_or(u64::MAX),
            );
        }
        let now = self.now();
        let end = self.tracker.see(
            hero as usize,
            slot as usize,
            state,
            Way::Step,
            now,
            &mut self.measures.counts,
        );
        self.end_seen(end);
    }

    /// Records the first time that an order of this engine was seen to have ended.
    pub(super) fn end_seen(&mut self, end: Option<FirstEnd>) {
        let Some(FirstEnd { due, at, state }) = end else { return };
        self.measures.counts.ended += 1;
        self.last_end = at.saturating_sub(self.placing.began);
        let hero = self.placing.hero_with(state.hero_id);
        if let Some(recent) = hero.and_then(|hero| self.placing.recent.get_mut(hero)) {
            recent.ended(state.id);
        }
        if state.status == Status::Cancelled {
            return; // whoever cancelled it chose the moment
        }
        let preparation = self.plan.delay.unwrap_or_else(|| state.preparation());
        let preparation = u64::try_from(preparation).unwrap_or(0) * 1_000;
        self.measures.record(Latency::Final, (at - due).saturating_sub(preparation));
    }

    /// Sends a text message.
    pub(super) fn say(&mut self, index: usize, text: &[u8]) {
        self.send(index, Opcode::Text, text);
    }

    /// Sends a frame. A failure is only counted: the next read finds a broken connection and ends
    /// it.
    fn send(&mut self, index: usize, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + 8);
        put_frame(opcode, payload, self.random.random(), &mut frame);
        if let Err(error) = self.connections[index].write(&frame) {
            self.measures.error(&say(&error));
        }
    }
}
