//! The due times of orders in an open model. They do not depend on the answers to earlier orders.

use crate::load_stage::LinearProfile;
use crate::measures::float;
use crate::plan::{PlacingPace, Plan};

/// The due times, in microseconds since the load began.
#[derive(Debug)]
pub struct Schedule {
    steady: Option<SteadyOrders>,
    bursts: Option<Train>,
    burst: usize,
}

/// The orders of one engine at a rate that may change.
#[derive(Debug)]
struct SteadyOrders {
    rate: LinearProfile,
    /// The number of the next order among those of all engines, and that of the one behind it.
    number: u64,
    step: u64,
    /// The time at which it is due; `None` if it never is.
    next: Option<u64>,
}

/// Evenly spaced times, in microseconds.
#[derive(Debug)]
struct Train {
    first: f64,
    gap: f64,
    passed: u64,
}

impl Schedule {
    /// The share of one engine: the engines place steady orders in turn, and equal parts of each
    /// burst.
    pub fn of(plan: &Plan) -> Self {
        let steady = match &plan.pace {
            Some(PlacingPace::Open { rate }) => {
                let (number, step) = (plan.number.into(), plan.engines.into());
                let next = micros(rate, number);
                Some(SteadyOrders { rate: rate.clone(), number, step, next })
            }
            Some(PlacingPace::Closed { .. }) | None => None,
        };
        let whole = plan.burst.map_or(0, |burst| burst.what);
        let (number, engines) = (plan.number as usize, plan.engines as usize);
        let burst = whole / engines + usize::from(number < whole % engines);
        Self { steady, bursts: plan.burst.map(|burst| Train::every(burst.period)), burst }
    }

    /// Calls `place` with the due time of each order that has fallen due by `now`.
    pub fn due(&mut self, now: u64, mut place: impl FnMut(u64)) {
        while let Some(moment) = self.steady.as_mut().and_then(|steady| steady.take(now)) {
            place(moment);
        }
        while let Some(moment) = self.bursts.as_mut().and_then(|train| train.take(now)) {
            (0..self.burst).for_each(|_| place(moment));
        }
    }

    /// Returns the time at which the next order is due.
    pub fn next(&self) -> Option<u64> {
        let steady = self.steady.iter().filter_map(|steady| steady.next);
        steady.chain(self.bursts.iter().map(Train::next)).min()
    }
}

impl SteadyOrders {
    fn take(&mut self, now: u64) -> Option<u64> {
        let moment = self.next.filter(|moment| *moment <= now)?;
        self.number += self.step;
        self.next = micros(&self.rate, self.number);
        Some(moment)
    }
}

/// Returns the microsecond of the load at which an order is due.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below 2^52")]
fn micros(rate: &LinearProfile, number: u64) -> Option<u64> {
    rate.reaches(float(number)).map(|seconds| (seconds * 1e6).round() as u64)
}

impl Train {
    #[expect(clippy::cast_precision_loss, reason = "periods are far below 2^52")]
    fn every(millis: u64) -> Self {
        let period = millis as f64 * 1e3;
        Self { first: period, gap: period, passed: 0 }
    }

    fn take(&mut self, now: u64) -> Option<u64> {
        let moment = self.next();
        (moment <= now).then(|| {
            self.passed += 1;
            moment
        })
    }

    fn next(&self) -> u64 {
        moment(self.first, self.gap, self.passed)
    }
}

/// Returns the moment of an event in a regular row, in microseconds.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "far below 2^52"
)]
pub fn moment(first: f64, gap: f64, passed: u64) -> u64 {
    (first + gap * passed as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use crate::load_stage::LinearProfile;
    use crate::plan::{Every, PlacingPace, Plan};

    fn moments(
        number: u32,
        pace: Option<PlacingPace>,
        burst: Option<Every<usize>>,
        until: u64,
    ) -> Vec<u64> {
        let mut schedule =
            Schedule::of(&Plan { number, engines: 3, pace, burst, ..Plan::default() });
        let mut moments = Vec::new();
        schedule.due(until, |moment| moments.push(moment));
        moments
    }

    #[test]
    fn engines_take_turns_and_keep_the_rate() {
        let mut all: Vec<u64> = (0..3)
            .flat_map(|number| {
                moments(
                    number,
                    Some(PlacingPace::Open { rate: LinearProfile::through(1_000.0, []) }),
                    None,
                    1_000_000,
                )
            })
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..=1_000).map(|number| number * 1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_burst_is_shared_out_to_the_last_order() {
        let burst = Some(Every { period: 200, what: 100 });
        let all: Vec<u64> =
            (0..3).flat_map(|number| moments(number, None, burst, 500_000)).collect();
        assert_eq!(all.iter().filter(|moment| **moment == 200_000).count(), 100);
        assert_eq!(all.len(), 200);
    }
}
