//! The bounds of lists, for both stores. One page looks at no more than [`SEARCHED`] rows, however
//! few of them match. A search that ends there returns a shorter page, from which the next one goes
//! on.
//!
//! The rows of a list come from one index, in the order of the list. A list of one hero or of one
//! meal reads that index; so does a list of orders by time, if it names neither. Any other list
//! reads the ids. Every other filter applies to the rows that were looked at.

use galley_protocol::frame::Page;
use galley_protocol::{HeroId, ListOrders, MealId, OfHero, OrderId, PageCursor, Timestamp};

/// The most rows that one page of a list looks at.
pub const SEARCHED: usize = 10_000;

/// The rows that a list of orders looks at, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderRange {
    OfHero(HeroId, IdBounds),
    OfMeal(MealId, IdBounds),
    /// By order time: within a time the greatest id first.
    OfTime(TimeBounds),
    All(IdBounds),
}

/// The smallest id, and the one before which the range ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdBounds {
    pub(crate) from: i64,
    pub(crate) before: i64,
}

/// The earliest time, and the time and id before which the range ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeBounds {
    pub(crate) from: Timestamp,
    pub(crate) before: (Timestamp, i64),
}

impl OrderRange {
    /// `reached` is the order time of the order at the cursor, if there is a cursor. Only a list by
    /// time needs it.
    pub(crate) fn of(
        OfHero { hero_id, command }: &OfHero<ListOrders>,
        low_watermark: OrderId,
        reached: Option<Timestamp>,
    ) -> Self {
        let active_only =
            !command.status.is_empty() && command.status.iter().all(|status| status.is_active());
        // No order below the low watermark is active.
        let from = if active_only { low_watermark.get() } else { 1 };
        let ids = IdBounds { from, before: command.cursor.map_or(i64::MAX, PageCursor::get) };
        match (hero_id, command.meal_id) {
            (Some(hero_id), _) => Self::OfHero(*hero_id, ids),
            (None, Some(meal_id)) => Self::OfMeal(meal_id, ids),
            (None, None) if Self::is_by_time(command) => {
                let end = (command.to.unwrap_or(Timestamp::LAST), 0);
                let before = reached.map_or(end, |time| end.min((time, ids.before)));
                let from = command.from.unwrap_or(Timestamp::EPOCH);
                Self::OfTime(TimeBounds { from, before })
            }
            (None, None) => Self::All(ids),
        }
    }

    /// Returns the cursor whose order time decides where the page begins, if any.
    pub(crate) fn cursor_by_time(
        OfHero { hero_id, command }: &OfHero<ListOrders>,
    ) -> Option<PageCursor> {
        let is_by_time =
            hero_id.is_none() && command.meal_id.is_none() && Self::is_by_time(command);
        command.cursor.filter(|_| is_by_time)
    }

    fn is_by_time(command: &ListOrders) -> bool {
        command.from.is_some() || command.to.is_some()
    }
}

/// Makes a page of the matching rows, one more than `limit` if there are so many. `searched_to` is
/// the id of the last row that was looked at, if the search ended there.
pub(crate) fn page<T>(
    matching: Vec<T>,
    limit: usize,
    id: impl Fn(&T) -> i64,
    searched_to: Option<i64>,
) -> Page<T> {
    let mut page = Page::cut(matching, limit, id);
    if page.next_cursor.is_none() {
        page.next_cursor = searched_to.map(PageCursor::after);
    }
    page
}

#[cfg(test)]
mod tests {
    use galley_protocol::{HeroId, ListOrders, MealId, OfHero, OrderId, PageCursor, Timestamp};

    use super::{IdBounds, OrderRange, TimeBounds, page};

    fn time(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).expect("in range")
    }

    #[test]
    fn a_list_reads_the_index_that_excludes_most() {
        let ids = IdBounds { from: 1, before: 9 };
        let range = |hero_id, meal_id, to, reached: Option<i64>| {
            let cursor = Some(PageCursor::after(9));
            let command = ListOrders { meal_id, to, cursor, ..ListOrders::default() };
            OrderRange::of(&OfHero { hero_id, command }, OrderId::FIRST, reached.map(time))
        };
        let (hero, meal, to) = (HeroId::FIRST, MealId::FIRST, Some(time(50)));
        assert_eq!(range(Some(hero), Some(meal), to, None), OrderRange::OfHero(hero, ids));
        assert_eq!(range(None, Some(meal), to, None), OrderRange::OfMeal(meal, ids));
        assert_eq!(range(None, None, None, None), OrderRange::All(ids));
        for (reached, before) in [(Some(40), (time(40), 9)), (Some(60), (time(50), 0))] {
            let bounds = TimeBounds { from: Timestamp::EPOCH, before };
            assert_eq!(range(None, None, to, reached), OrderRange::OfTime(bounds));
        }
    }

    #[test]
    fn a_page_goes_on_after_the_last_match_or_else_where_the_search_ended() {
        let next = |matching, searched_to| {
            let page = page(matching, 2, |id| *id, searched_to);
            (page.items, page.next_cursor.map(PageCursor::get))
        };
        assert_eq!(next(vec![9, 8, 7], Some(3)), (vec![9, 8], Some(8)));
        assert_eq!(next(vec![9, 8], Some(3)), (vec![9, 8], Some(3)));
        assert_eq!(next(vec![], Some(3)), (vec![], Some(3)));
        assert_eq!(next(vec![9], None), (vec![9], None));
    }
}
