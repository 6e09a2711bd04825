//! A model of the way of a change from its transaction to a client: publishers that fall silent,
//! die and join; commits that become visible late; a gateway that receives, counts and repairs; and
//! a client that comes back with a cursor.
//!
//! A transaction has a number. The *safe* position is the lowest number of a transaction that has
//! not ended: nothing can still commit below it. A publisher's heartbeat carries the newest safe
//! position below which it has published everything. The gateway's watermark, which clients get as
//! their cursor, is the lowest of those positions and of its own census.
//!
//! The gateway knows a publisher before the publisher commits: from a census or from its first
//! heartbeat.

use crate::hearing_state::{
    HearingState, ModelClient, ModelSubscriber, PublishStage, PublisherLife,
};

/// The maximum of publishers: one from the beginning, one that joins later.
pub const PUBLISHERS: usize = 2;

/// The amount of changes and of faults, and the rules of the gateway.
#[derive(Clone, Copy, Debug)]
pub struct HearingModel {
    /// The changes; their publishers take turns.
    pub changes: usize,
    /// The publishers, one or two.
    pub publishers: usize,
    /// The number of times that a publisher falls silent.
    pub silences: u8,
    /// The number of publishers that die.
    pub deaths: u8,
    /// The rules.
    pub rule: RepairRule,
}

/// The rules by which the gateway finds the changes that it did not receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairRule {
    /// The rule of the real gateway.
    Census,
    /// A silent publisher is repaired for once and forgotten. It counts as new when it is received
    /// again.
    RepairOnce,
    /// A dead publisher is repaired for once, even if its last transactions have not ended.
    BuryAtOnce,
    /// A cursor is a fixed number of transactions behind.
    FixedMargin,
}

/// The margin of [`RepairRule::FixedMargin`].
const MARGIN: u8 = 1;

/// A step; its number is that of a change or of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HearingStep {
    /// The transaction of a change gets its number.
    Stamp(usize),
    /// The transaction of a change commits: everybody can see the change.
    Commit(usize),
    /// The publisher of a change publishes it.
    Publish(usize),
    /// The second publisher begins.
    Join,
    /// A publisher asks the database for the safe position.
    Ask(usize),
    /// A publisher receives the safe position.
    Answer(usize),
    /// A publisher sends a heartbeat that is received.
    Beat(usize),
    /// The messages of a publisher begin to get lost.
    Silence(usize),
    /// The messages of a publisher arrive again.
    Return(usize),
    /// A publisher dies.
    Die(usize),
    /// The gateway misses the heartbeats of a publisher.
    Notice(usize),
    /// The gateway reads the living publishers and the safe position.
    Census,
    /// The gateway reads the changes that it may have missed of a publisher.
    Repair(usize),
    /// The client loses its connection.
    Leave,
    /// The client comes back with its cursor.
    Resume,
}

impl HearingStep {
    /// Returns true if the step need never happen.
    fn is_optional(self) -> bool {
        matches!(self, Self::Stamp(_) | Self::Join | Self::Silence(_) | Self::Die(_) | Self::Leave)
    }
}

impl HearingModel {
    /// Every step that changes something.
    pub fn steps(&self, state: &HearingState) -> Vec<(HearingStep, HearingState)> {
        let changes = 0..self.changes;
        let of_changes = changes.flat_map(|at| {
            [HearingStep::Stamp(at), HearingStep::Commit(at), HearingStep::Publish(at)]
        });
        let of_publishers = (0..self.publishers).flat_map(|publisher| {
            let speaking = [
                HearingStep::Ask(publisher),
                HearingStep::Answer(publisher),
                HearingStep::Beat(publisher),
            ];
            let failing = [
                HearingStep::Silence(publisher),
                HearingStep::Return(publisher),
                HearingStep::Die(publisher),
            ];
            speaking
                .into_iter()
                .chain(failing)
                .chain([HearingStep::Notice(publisher), HearingStep::Repair(publisher)])
        });
        let steps = of_changes.chain(of_publishers).chain([
            HearingStep::Join,
            HearingStep::Census,
            HearingStep::Leave,
            HearingStep::Resume,
        ]);
        let steps =
            steps.filter_map(|step| self.after(state.clone(), step).map(|after| (step, after)));
        steps.filter(|(_, after)| after != state).collect()
    }

    /// Returns true if only optional steps remain.
    pub fn is_at_rest(&self, state: &HearingState) -> bool {
        self.steps(state).iter().all(|(step, _)| step.is_optional())
    }

    /// The state after a step, if it can be taken.
    pub fn after(&self, mut state: HearingState, step: HearingStep) -> Option<HearingState> {
        match step {
            HearingStep::Stamp(at) => state.stamp(at)?,
            HearingStep::Commit(at) => {
                let PublishStage::Stamped(number) = state.changes[at].stage else { return None };
                state.changes[at].stage = PublishStage::Committed(number);
            }
            HearingStep::Publish(at) => self.publish(&mut state, at)?,
            HearingStep::Join if self.publishers < PUBLISHERS => return None,
            HearingStep::Join => {
                let joining = state
                    .publishers
                    .iter_mut()
                    .find(|publisher| publisher.life == PublisherLife::Unborn)?;
                joining.life = PublisherLife::Alive;
            }
            HearingStep::Ask(publisher) => {
                let safe = state.safe_position();
                let publisher = state.living(publisher)?;
                if publisher.asked.is_some() || publisher.marked.is_some() {
                    return None; // one at a time
                }
                publisher.asked = Some(safe).filter(|safe| *safe > publisher.published);
            }
            HearingStep::Answer(publisher) => {
                let pending = state.pending_of(publisher);
                let publisher = state.living(publisher)?;
                publisher.marked = Some((publisher.asked.take()?, pending));
            }
            HearingStep::Beat(publisher) => self.beat(&mut state, publisher)?,
            HearingStep::Silence(publisher) => {
                state.silences = state.silences.checked_sub(1)?;
                let publisher = state.living(publisher)?;
                publisher.is_audible = false;
            }
            HearingStep::Return(publisher) => state.living(publisher)?.is_audible = true,
            HearingStep::Die(publisher) => {
                state.deaths = state.deaths.checked_sub(1)?;
                let publisher = state.living(publisher)?;
                (publisher.life, publisher.is_audible) = (PublisherLife::Dead, false);
            }
            HearingStep::Notice(publisher) => {
                let ModelSubscriber::Known { has_hole, .. } = &mut state.subscribers[publisher]
                else {
                    return None;
                };
                if state.publishers[publisher].is_audible {
                    return None;
                }
                *has_hole = true;
            }
            HearingStep::Census => state.census(),
            HearingStep::Repair(publisher) => self.repair(&mut state, publisher)?,
            HearingStep::Leave => {
                let cursor = self.cursor(&state);
                let ModelClient::Connected { may_leave: true } = state.client else { return None };
                state.client = ModelClient::Away { cursor };
            }
            HearingStep::Resume => {
                let ModelClient::Away { cursor } = state.client else { return None };
                state.client = ModelClient::Connected { may_leave: false };
                state.tell(cursor, false);
            }
        }
        state.settle();
        Some(state)
    }

    /// The cursor that a client gets now.
    fn cursor(&self, state: &HearingState) -> u8 {
        match self.rule {
            RepairRule::FixedMargin => state.next.saturating_sub(MARGIN),
            RepairRule::Census | RepairRule::RepairOnce | RepairRule::BuryAtOnce => {
                state.watermark()
            }
        }
    }

    /// Publishes a change. A message that is not received is lost, and leaves a hole in the
    /// publisher's numbers.
    fn publish(&self, state: &mut HearingState, at: usize) -> Option<()> {
        let PublishStage::Committed(number) = state.changes[at].stage else { return None };
        let publisher = state.changes[at].publisher;
        let speaker = state.living(publisher)?;
        speaker.said += 1;
        let is_audible = speaker.is_audible;
        state.changes[at].stage = PublishStage::Announced(number);
        if is_audible {
            self.hear(state, publisher, 1);
            state.tell_one(at);
        }
        Some(())
    }

    fn beat(&self, state: &mut HearingState, publisher: usize) -> Option<()> {
        let speaker = state.living(publisher)?;
        let position = speaker.published;
        if !speaker.is_audible {
            return None;
        }
        self.hear(state, publisher, 0);
        if let ModelSubscriber::Known { cursor, has_hole: false, .. } =
            &mut state.subscribers[publisher]
        {
            *cursor = position.max(*cursor);
        }
        Some(())
    }

    /// The gateway receives the newest number of a publisher, with `new` new messages.
    fn hear(&self, state: &mut HearingState, publisher: usize, new: u8) {
        let said = state.publishers[publisher].said;
        let watermark = state.watermark();
        match &mut state.subscribers[publisher] {
            ModelSubscriber::Known { heard, has_hole, .. } => {
                *has_hole |= *heard + new != said;
                *heard = said;
            }
            subscriber @ (ModelSubscriber::Unknown | ModelSubscriber::Dead { .. }) => {
                // It may have sent messages before; the old rule did not check that.
                let has_hole = said != new && self.rule != RepairRule::RepairOnce;
                *subscriber = ModelSubscriber::Known { heard: said, cursor: watermark, has_hole };
            }
        }
    }

    fn repair(&self, state: &mut HearingState, publisher: usize) -> Option<()> {
        let safe = state.census;
        let is_audible = state.publishers[publisher].is_audible;
        let since = match &mut state.subscribers[publisher] {
            ModelSubscriber::Known { cursor, has_hole, .. } if *has_hole => {
                // It is repaired for again until its messages arrive.
                *has_hole = !is_audible;
                std::mem::replace(cursor, safe.max(*cursor))
            }
            ModelSubscriber::Dead { cursor, .. } => std::mem::replace(cursor, safe.max(*cursor)),
            ModelSubscriber::Known { .. } | ModelSubscriber::Unknown => return None,
        };
        state.tell(since, true);
        let is_forgotten = match state.subscribers[publisher] {
            ModelSubscriber::Known { .. } => self.rule == RepairRule::RepairOnce && !is_audible,
            ModelSubscriber::Dead { ends, .. } => self.rule != RepairRule::Census || safe >= ends,
            ModelSubscriber::Unknown => false,
        };
        if is_forgotten {
            state.subscribers[publisher] = ModelSubscriber::Unknown;
        }
        Some(())
    }
}
