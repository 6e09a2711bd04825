//! The bounds of lists, for both stores. One page looks at no more than [`SEARCHED`] rows, however
//! few of them match. A search that ends there returns a shorter page, from which the next one goes
//! on.
//!
//! The rows of a list come from one index, in the order of the list. A list of one hero or of one
//! meal reads that index, any other list the ids. Every other filter applies to the rows that were
//! looked at.
//!
//! Times have no index, which would cost each order a page of the log. Instead a search by halves
//! finds the ids between which the times of a list lie, because ids and order times rise together:
//! out of turn by no more than a statement takes, [`SKEW`].

use std::time::Duration;

use galley_protocol::frame::Page;
use galley_protocol::{HeroId, ListOrders, MealId, OfHero, OrderId, PageCursor, Timestamp};

use crate::STATEMENT_TIMEOUT;

/// The most rows that one page of a list looks at.
pub const SEARCHED: usize = 10_000;

/// The greatest time by which an order with a smaller id may be younger, if no clock was set back:
/// its id and its time belong to one statement.
const SKEW: Duration = STATEMENT_TIMEOUT;

/// The statement that finds the smallest id of an order that was placed at this time or later, as if
/// ids and times rose together; an id beyond all orders if there is none.
macro_rules! first_since {
    ($time:literal) => {
        concat! {
            "/* first_since */
             with recursive halves(low, high) as (
                 select cast(1 as bigint), (select coalesce(max(id), 0) + 1 from orders)
                 union all
                 select
                     case when coalesce((select order_time from orders where id >= (low + high) / 2 order by id limit 1) < ", $time, ", false)
                         then (low + high) / 2 + 1 else low end,
                     case when coalesce((select order_time from orders where id >= (low + high) / 2 order by id limit 1) < ", $time, ", false)
                         then high else (low + high) / 2 end
                 from halves where low < high
             )
             select low from halves where low >= high"
        }
    };
}
pub(crate) use first_since;

/// The rows that a list of orders looks at, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderRange {
    OfHero(HeroId, IdBounds),
    OfMeal(MealId, IdBounds),
    All(IdBounds),
}

/// The smallest id, and the one before which the range ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdBounds {
    pub(crate) from: i64,
    pub(crate) before: i64,
}

impl OrderRange {
    /// The times whose first orders bound a list of all orders: none of the list is before the first
    /// order since the first time, or after that since the second.
    pub(crate) fn times(
        OfHero { hero_id, command }: &OfHero<ListOrders>,
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        if hero_id.is_some() || command.meal_id.is_some() {
            return (None, None);
        }
        let skew = i64::try_from(SKEW.as_millis()).expect("a few seconds");
        (
            command.from.map(|from| from.minus_millis(skew)),
            command.to.map(|to| to.minus_millis(-skew).min(Timestamp::LAST)),
        )
    }

    /// `first` and `end` are the ids of the first orders since [`OrderRange::times`].
    pub(crate) fn of(
        OfHero { hero_id, command }: &OfHero<ListOrders>,
        low_watermark: OrderId,
        (first, end): (Option<i64>, Option<i64>),
    ) -> Self {
        let active_only =
            !command.status.is_empty() && command.status.iter().all(|status| status.is_active());
        // No order below the low watermark is active.
        let from = if active_only { low_watermark.get() } else { 1 };
        let before = command.cursor.map_or(i64::MAX, PageCursor::get);
        let ids = IdBounds {
            from: from.max(first.unwrap_or(from)),
            before: before.min(end.unwrap_or(before)),
        };
        match (hero_id, command.meal_id) {
            (Some(hero_id), _) => Self::OfHero(*hero_id, ids),
            (None, Some(meal_id)) => Self::OfMeal(meal_id, ids),
            (None, None) => Self::All(ids),
        }
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
    use galley_protocol::{HeroId, ListOrders, MealId, OfHero, OrderId, PageCursor};

    use super::{IdBounds, OrderRange, page};

    #[test]
    fn a_list_reads_the_index_that_excludes_most() {
        let ids = IdBounds { from: 1, before: 9 };
        let range = |hero_id, meal_id| {
            let cursor = Some(PageCursor::after(9));
            let command = ListOrders { meal_id, cursor, ..ListOrders::default() };
            OrderRange::of(&OfHero { hero_id, command }, OrderId::FIRST, (None, None))
        };
        let (hero, meal) = (HeroId::FIRST, MealId::FIRST);
        assert_eq!(range(Some(hero), Some(meal)), OrderRange::OfHero(hero, ids));
        assert_eq!(range(None, Some(meal)), OrderRange::OfMeal(meal, ids));
        assert_eq!(range(None, None), OrderRange::All(ids));
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
