//! The cursors of positions in the feed.

use std::collections::VecDeque;

use galley_protocol::ResumeCursor;

/// Maximum number of marks. Beyond it the oldest is dropped: a watcher that is so far behind keeps
/// an older cursor.
const MAX_MARKS: usize = 1_024;

#[derive(Debug, Default)]
pub struct Marks(VecDeque<(u64, ResumeCursor)>);

impl Marks {
    /// Records that every change before `cursor` lies before `place`. Neither may fall from one
    /// call to the next.
    pub fn add(&mut self, place: u64, cursor: ResumeCursor) {
        match self.0.back_mut() {
            Some((last, known)) if *last == place => *known = cursor.max(*known),
            _ => self.0.push_back((place, cursor)),
        }
        if self.0.len() > MAX_MARKS {
            self.0.pop_front();
        }
    }

    /// Returns a cursor to resume after everything before `place`; `None` if none is known.
    pub fn at(&self, place: u64) -> Option<ResumeCursor> {
        let after = self.0.partition_point(|(marked, _)| *marked <= place);
        self.0.get(after.checked_sub(1)?).map(|(_, cursor)| *cursor)
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::ResumeCursor;

    use super::{MAX_MARKS, Marks};

    fn cursor(number: u64) -> ResumeCursor {
        format!("r0.1.{number:x}").parse().expect("a cursor")
    }

    #[test]
    fn a_place_has_the_last_cursor_that_was_marked_before_it() {
        let mut marks = Marks::default();
        assert_eq!(marks.at(9), None);
        for (place, number) in [(5, 1), (5, 2), (8, 3)] {
            marks.add(place, cursor(number));
        }
        assert_eq!(
            [4, 5, 7, 8, 99].map(|place| marks.at(place)),
            [None, Some(2), Some(2), Some(3), Some(3)].map(|n| n.map(cursor))
        );
    }

    #[test]
    fn at_the_bound_the_oldest_is_forgotten() {
        let mut marks = Marks::default();
        let most = u64::try_from(MAX_MARKS).expect("few");
        (1..=most + 1).for_each(|place| marks.add(place, cursor(place)));
        assert_eq!((marks.0.len(), marks.at(1), marks.at(2)), (MAX_MARKS, None, Some(cursor(2))));
    }
}
