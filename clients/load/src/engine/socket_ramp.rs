//! Stages of sockets: opens and closes sockets during the load, so that their number follows the
//! profile of the test.

use super::{Engine, Phase, Timer};
use crate::plan::Plan;
use std::cmp::Reverse;

/// Interval of the changes, in microseconds.
const STEP: u64 = 20_000;

/// Returns the number of this engine's sockets that are wanted at this microsecond of the load. The
/// sockets of all engines have one order, in which they open: the first ones of all heroes, then
/// the second ones. One socket stays, so that somebody places and sees the last states.
pub fn wanted(plan: &Plan, micros: u64) -> usize {
    let Some(profile) = &plan.profile else { return plan.sockets };
    let all = profile.at(std::time::Duration::from_micros(micros).as_secs_f64());
    let number_of = |index: usize| {
        let (hero, slot) = (index % plan.heroes.len(), index / plan.heroes.len());
        let number = slot * plan.all_heroes + hero * plan.engines as usize + plan.number as usize;
        crate::measures::float(number as u64)
    };
    // The order of the sockets within an engine is the order of all: search for the first beyond.
    let (mut known, mut beyond) = (0, plan.sockets);
    while known < beyond {
        let middle = usize::midpoint(known, beyond);
        if number_of(middle) + 0.5 < all {
            known = middle + 1;
        } else {
            beyond = middle;
        }
    }
    known.clamp(plan.sockets.min(1), plan.sockets)
}

impl Engine {
    /// Begins to follow the profile, if there is one.
    pub(super) fn begin_ramp(&mut self, now: u64) {
        if self.plan.profile.is_some() {
            self.timers.push(Reverse((now + STEP, Timer::Ramp)));
        }
    }

    /// Opens and closes the sockets that are due.
    pub(super) fn follow_profile(&mut self, now: u64) {
        if !matches!(self.phase, Phase::Load { .. }) {
            return;
        }
        let target = wanted(&self.plan, now - self.placing.began);
        let before = std::mem::replace(&mut self.opening.target, target);
        // Sockets that were about to be closed are wanted again.
        for index in before..target.min(self.opening.held_open) {
            self.give_credits(index);
        }
        while self.opening.held_open < target {
            self.opening.again(self.opening.held_open, now);
            self.opening.held_open += 1;
        }
        while let Some(index) = self.opening.held_open.checked_sub(1)
            && index >= target
            && !self.is_needed(index)
        {
            self.opening.held_open = index;
            self.leave_out(index);
            self.leave(index);
            self.connections[index].begin_anew();
        }
        self.timers.push(Reverse((now + STEP, Timer::Ramp)));
    }

    /// Returns true if a socket waits for an answer, or is the last one of a hero whose orders have
    /// not ended.
    fn is_needed(&self, index: usize) -> bool {
        self.placing.waits_on(index)
            || index < self.plan.heroes.len() && self.tracker.has_pending(index)
    }

    /// Returns true if a socket places nothing more, because the profile wants fewer.
    pub(super) fn is_leaving(&self, index: usize) -> bool {
        (self.opening.target..self.plan.sockets).contains(&index)
    }

    /// Returns true if a socket is closed because the profile wants fewer.
    pub(super) fn is_surplus(&self, index: usize) -> bool {
        (self.opening.held_open..self.plan.sockets).contains(&index)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::wanted;
    use crate::load_stage::LinearProfile;
    use crate::plan::Plan;

    #[test]
    fn all_engines_together_have_as_many_sockets_as_the_profile_says() {
        let stages = [(10, Some(100.0)), (10, Some(7.0))];
        let stages = stages.map(|(seconds, value)| (Duration::from_secs(seconds), value));
        let profile = LinearProfile::through(3.0, stages);
        let sockets = |second: u64| {
            let profile = &profile;
            (0..3).map(move |number: u32| {
                let heroes: Vec<i64> = (0..7).skip(number as usize).step_by(3).collect();
                let of_hero = |hero: i64| 100 / 7 + usize::from(hero < 100 % 7);
                let plan = Plan {
                    number,
                    engines: 3,
                    all_heroes: 7,
                    sockets: heroes.iter().map(|hero| of_hero(*hero)).sum(),
                    heroes,
                    profile: Some(profile.clone()),
                    ..Plan::default()
                };
                wanted(&plan, second * 1_000_000)
            })
        };
        for (second, all) in [(0, 3), (4, 42), (10, 100), (20, 7), (30, 7)] {
            assert_eq!(sockets(second).sum::<usize>(), all, "{second} s");
        }
    }
}
