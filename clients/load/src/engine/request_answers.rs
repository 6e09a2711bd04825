//! The answers to requests, over sockets and over REST.

use std::cmp::Reverse;

use super::asking::{Asked, PendingRequest, rest_number};
use super::connecting::refusal;
use super::connection::SocketState;
use super::received_frame::{self, ReceivedFrame};
use super::{Engine, Timer, upgrade};
use crate::measures::Latency;

/// Pause of a placer after a refusal that does not say when to retry, in microseconds.
const PAUSE: u64 = 100_000;

impl Engine {
    /// Handles a `reply` frame.
    pub(super) fn accepted(&mut self, frame: &ReceivedFrame<'_>) {
        let Some(request) =
            frame.number().and_then(|number| self.placing.in_flight.remove(&number))
        else {
            return;
        };
        match (request.asked, &frame.order) {
            (Asked::Place { .. }, None) => {
                self.request_refused(request, "a reply without an order", None);
            }
            (_, order) => self.answered(request, order.map(|order| order.id)),
        }
    }

    /// Handles an `error` frame.
    pub(super) fn refused(&mut self, frame: &ReceivedFrame<'_>) {
        let why =
            frame.problem.as_ref().map_or("an error without a problem", |problem| problem.slug());
        let retry = frame.problem.as_ref().and_then(|problem| problem.retry_after_ms);
        match frame.number().and_then(|number| self.placing.in_flight.remove(&number)) {
            Some(request) => self.request_refused(request, why, retry),
            None => self.measures.error(why),
        }
    }

    pub(super) fn take_answer(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let SocketState::Open(so_far) = &mut self.connections[index].state else { return Ok(()) };
        let mut answer = std::mem::take(so_far);
        answer.extend_from_slice(bytes);
        let Some(whole) = upgrade::answer(&answer).map_err(|error| error.to_string())? else {
            *so_far = answer;
            return Ok(());
        };
        self.connections[index].since = self.now();
        let request = self
            .placing
            .in_flight
            .remove(&rest_number(index))
            .ok_or("an answer that nobody asked for")?;
        let order = serde_json::from_slice::<received_frame::ReceivedState>(whole.body);
        let order = order.ok().map(|order| order.id);
        let is_done = match request.asked {
            Asked::Place { .. } => whole.status == 202 && order.is_some(),
            Asked::Cancel(_) | Asked::Delete(_) | Asked::Read(_) => whole.status < 300,
        };
        if is_done {
            self.answered(request, order);
            return Ok(());
        }
        let problem: Option<received_frame::ProblemFrame<'_>> =
            serde_json::from_slice(whole.body).ok();
        let retry = problem.as_ref().and_then(|problem| problem.retry_after_ms);
        if problem.is_some_and(|problem| is_too_late(request.asked, problem.slug())) {
            self.too_late(request);
        } else {
            self.request_refused(request, &refusal(whole.status, whole.body), retry);
        }
        Ok(())
    }

    fn answered(&mut self, request: PendingRequest, order: Option<i64>) {
        let waited = self.now() - request.due;
        let counts = &mut self.measures.counts;
        let latency = match (request.asked, order) {
            (Asked::Place { .. }, Some(id)) => {
                counts.acked += 1;
                let end = self.tracker.accept(id, request.hero, request.due, counts);
                if let Some(recent) = self.placing.recent.get_mut(request.hero) {
                    recent.accepted(id);
                }
                self.end_seen(end);
                Latency::Ack
            }
            (Asked::Place { .. }, None) => return,
            (Asked::Cancel(_), _) => {
                counts.cancelled += 1;
                Latency::Cancel
            }
            (Asked::Delete(_), _) => {
                counts.deleted += 1;
                Latency::Delete
            }
            (Asked::Read(_), _) => {
                counts.read += 1;
                Latency::Read
            }
        };
        self.measures.record(latency, waited);
        self.placing.give_back(request.index, self.connections[request.index].generation);
    }

    /// Handles the answer that an order had ended or was deleted before the request about it.
    fn too_late(&mut self, request: PendingRequest) {
        self.measures.counts.too_late += 1;
        self.placing.give_back(request.index, self.connections[request.index].generation);
    }

    fn request_refused(&mut self, request: PendingRequest, why: &str, retry_after_ms: Option<u64>) {
        if is_too_late(request.asked, why) {
            return self.too_late(request);
        }
        self.measures.counts.refused += 1;
        self.measures.error(why);
        let pause = retry_after_ms.map_or(PAUSE, |millis| millis * 1_000);
        let credit = Timer::Credit(request.index, self.connections[request.index].generation);
        self.timers.push(Reverse((self.now() + pause, credit)));
    }
}

fn is_too_late(asked: Asked, problem: &str) -> bool {
    !matches!(asked, Asked::Place { .. })
        && ["already-finished", "order-not-found"].contains(&problem)
}
