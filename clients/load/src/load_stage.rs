//! Stages of a load, and the lines that they make over time.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A stage: within its duration, sockets and rate change evenly to these values. `None` leaves one
/// as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadStage {
    pub duration: Duration,
    pub sockets: Option<usize>,
    pub rate: Option<f64>,
}

/// A value over time that changes evenly between points. The last one stays for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearProfile {
    /// Points from left to right: seconds and value.
    points: Vec<(f64, f64)>,
}

impl FromStr for LoadStage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            "must be DURATION:SOCKETS, DURATION:SOCKETS:RATE or DURATION::RATE, as in 30s:100, \
             30s:100:500 or 30s::500"
                .to_owned()
        };
        let mut parts = text.split(':').map(str::trim);
        let (duration, sockets, rate) = (parts.next(), parts.next(), parts.next().unwrap_or(""));
        let (Some(duration), Some(sockets), None) = (duration, sockets, parts.next()) else {
            return Err(form());
        };
        let duration = galley_launch::parse_duration(duration)?;
        let sockets = (!sockets.is_empty()).then(|| sockets.parse()).transpose();
        let sockets = sockets.map_err(|_| form())?;
        let rate = (!rate.is_empty()).then(|| rate.parse::<f64>()).transpose();
        let rate = rate.map_err(|_| form())?;
        if sockets.is_none() && rate.is_none() || !rate.is_none_or(|it| (0.0..=1e7).contains(&it)) {
            return Err(form());
        }
        Ok(Self { duration, sockets, rate })
    }
}

impl LinearProfile {
    /// A line from this value at the start through the ends of the stages.
    pub fn through(start: f64, stages: impl IntoIterator<Item = (Duration, Option<f64>)>) -> Self {
        let mut points = vec![(0.0, start)];
        for (duration, value) in stages {
            let (time, before) = points[points.len() - 1];
            points.push((time + duration.as_secs_f64(), value.unwrap_or(before)));
        }
        Self { points }
    }

    /// Returns the greatest value.
    pub fn most(&self) -> f64 {
        self.points.iter().map(|(_, value)| *value).fold(0.0, f64::max)
    }

    /// Returns the value at this moment.
    pub fn at(&self, seconds: f64) -> f64 {
        let after = self.points.iter().position(|(time, _)| *time > seconds);
        match after.unwrap_or(self.points.len()) {
            0 => self.points[0].1,
            last if last == self.points.len() => self.points[last - 1].1,
            next => {
                let ((from, low), (to, high)) = (self.points[next - 1], self.points[next]);
                low + (high - low) * (seconds - from) / (to - from)
            }
        }
    }

    /// Returns the second at which the area below the line reaches `area`, which is the moment of
    /// that many events if the value is a rate; `None` if it never does.
    pub fn reaches(&self, area: f64) -> Option<f64> {
        let mut remaining = area;
        for (index, (start, value)) in self.points.iter().enumerate() {
            let next = self.points.get(index + 1);
            let slope = next.map_or(0.0, |(end, last)| (last - value) / (end - start).max(1e-9));
            let whole =
                next.map_or(f64::INFINITY, |(end, last)| (value + last) / 2.0 * (end - start));
            if remaining <= 0.0 {
                return Some(*start);
            }
            if whole > 0.0 && remaining <= whole {
                // The root of `value * t + slope * t² / 2 = remaining`, in a form that holds for
                // a slope of zero as well.
                let root = (value * value + 2.0 * slope * remaining).max(0.0).sqrt();
                let seconds = 2.0 * remaining / (value + root);
                return seconds.is_finite().then_some(start + seconds);
            }
            remaining -= whole;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LinearProfile, LoadStage};

    #[test]
    fn a_stage_names_sockets_a_rate_or_both() {
        let stage = |text: &str| text.parse::<LoadStage>();
        let read = |text: &str| stage(text).map(|it| (it.duration.as_secs(), it.sockets, it.rate));
        assert_eq!(read("30s:100"), Ok((30, Some(100), None)));
        assert_eq!(read("1m:100:500"), Ok((60, Some(100), Some(500.0))));
        assert_eq!(read("0s::2.5"), Ok((0, None, Some(2.5))));
        for wrong in ["30s", "30s:", "30s::", "x:1", "30s:1:2:3", "30s:-1", "30s::-1", ""] {
            assert!(stage(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn events_come_where_the_area_below_the_rate_says() {
        let stages = [(2, Some(100.0)), (1, None), (2, Some(0.0))];
        let stages = stages.map(|(seconds, rate)| (Duration::from_secs(seconds), rate));
        let rate = LinearProfile::through(0.0, stages);
        for (seconds, value) in [(0.0, 0.0), (1.0, 50.0), (2.5, 100.0), (4.0, 50.0), (9.0, 0.0)] {
            assert!((rate.at(seconds) - value).abs() < 1e-9, "{seconds}: {}", rate.at(seconds));
        }
        for (events, seconds) in [(0.0, 0.0), (25.0, 1.0), (100.0, 2.0), (150.0, 2.5), (275.0, 4.0)]
        {
            let at = rate.reaches(events).expect("it is reached");
            assert!((at - seconds).abs() < 1e-9, "{events}: {at}");
        }
        assert_eq!(rate.reaches(301.0), None, "the rate is 0 from then on");
        assert!((rate.most() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_jump_takes_no_time() {
        let jump = LinearProfile::through(10.0, [(Duration::ZERO, Some(20.0))]);
        assert_eq!(jump.reaches(20.0), Some(1.0));
        assert!((jump.at(0.0) - 20.0).abs() < 1e-9);
    }
}
