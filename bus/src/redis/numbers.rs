//! The running numbers of every publisher, to notice a message that never came.

use std::collections::HashMap;

use galley_protocol::UpdateBatch;

/// The most publishers and channels remembered. Beyond, the one silent for longest is forgotten; should it speak again, that
/// counts as a hole.
const BOUND: usize = 4_096;

/// The last number heard of each publisher on each channel.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    last: HashMap<(u64, u16), Last>,
    heard: u64,
}

#[derive(Debug)]
struct Last {
    number: u64,
    /// When, counted in messages.
    heard: u64,
}

impl Numbers {
    /// Takes note of a message; whether one before it is missing. A publisher that is heard for the first time with any number
    /// but 1 spoke before: that, too, is a hole.
    pub(super) fn leave_a_hole(&mut self, channel: u16, batch: &UpdateBatch) -> bool {
        self.heard += 1;
        let heard = self.heard;
        let UpdateBatch { publisher, number, .. } = *batch;
        if let Some(last) = self.last.get_mut(&(publisher, channel)) {
            let hole = number > last.number + 1;
            *last = Last { number: number.max(last.number), heard };
            return hole;
        }
        if self.last.len() >= BOUND {
            let oldest = self.last.iter().min_by_key(|(_, last)| last.heard).map(|(key, _)| *key);
            oldest.and_then(|key| self.last.remove(&key));
        }
        self.last.insert((publisher, channel), Last { number, heard });
        number > 1
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::UpdateBatch;

    use super::{BOUND, Numbers};

    fn hole(numbers: &mut Numbers, publisher: u64, channel: u16, number: u64) -> bool {
        numbers.leave_a_hole(channel, &UpdateBatch { publisher, number, updates: Vec::new() })
    }

    #[test]
    fn a_number_left_out_is_a_hole_once() {
        let mut numbers = Numbers::default();
        for (publisher, channel, number, expected) in [
            (7, 0, 1, false),
            (7, 0, 2, false),
            (7, 1, 1, false),
            (7, 0, 4, true),
            (7, 0, 3, false),
            (7, 0, 5, false),
            (8, 0, 9, true),
            (8, 0, 10, false),
        ] {
            assert_eq!(hole(&mut numbers, publisher, channel, number), expected, "{publisher} {channel} {number}");
        }
    }

    #[test]
    fn at_the_bound_the_longest_silent_is_forgotten() {
        let mut numbers = Numbers::default();
        for publisher in 0..=BOUND as u64 {
            hole(&mut numbers, publisher, 0, 1);
        }
        assert_eq!(numbers.last.len(), BOUND);
        assert!(hole(&mut numbers, 0, 0, 2), "it was forgotten");
        assert!(!hole(&mut numbers, BOUND as u64, 0, 2), "it was not");
    }
}
