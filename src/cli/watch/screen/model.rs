//! What the screen knows: it takes in what the gateway tells and what somebody typed, and says what
//! is to be seen. No terminal here.

use std::time::Duration;

use galley_protocol::frame::{Received, Resume, Totals};
use galley_protocol::{Order, OrderId, Picture, Timestamp};

use super::filter::Filter;
use super::meter::{Latencies, Rate};
use super::names::{Nameless, Names};
use crate::cli::client_session::SessionEvent;

/// The most active orders, and the most that have ended, that are remembered; beyond, the oldest
/// go. An order takes 300 bytes, and up to 8 KB more when it was cancelled with the longest reason;
/// while the list is held still, its copy takes as much again.
pub const MAX_ORDERS: usize = 5_000;
/// The most characters of a line that is typed; further ones are not taken.
const MAX_TYPED: usize = 200;
/// How long a note stays.
const NOTE: Duration = Duration::from_secs(6);

/// Where the connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// A socket is being opened.
    Connecting,
    /// Everything is told as it happens.
    Live,
    /// There is no connection.
    Waiting {
        /// Why.
        why: String,
        /// When it is tried again.
        until: Timestamp,
    },
}

/// A line that is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typing {
    /// What to show.
    Filter,
    /// Why this order is cancelled.
    Reason(OrderId),
}

/// The list as it was when it was held still.
#[derive(Debug)]
struct Held {
    orders: Vec<Order>,
    waiting: usize,
}

/// The orders that the socket is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    /// Those of everybody; the gateway counts them.
    Feed,
    /// Those of one hero; they are counted here.
    Hero,
}

/// The state of the screen.
#[derive(Debug)]
pub struct Model {
    /// Where the gateway is.
    pub gateway: String,
    /// Whose orders these are, as the gateway said.
    pub whose: String,
    /// Where the connection stands.
    pub link: Link,
    /// The names of heroes and meals.
    pub names: Names,
    /// Updates a second.
    pub rate: Rate,
    /// From being placed to being started.
    pub wait: Latencies,
    /// From being started to its end.
    pub preparation: Latencies,
    /// True if the keys are explained.
    pub helping: bool,
    /// The line that is being typed, and what for.
    pub typing: Option<(Typing, String)>,
    /// The filter, as it was typed.
    pub filter_text: String,
    /// The rows that the list had when it was drawn last.
    pub page: usize,
    /// The number of times that the past had to be read anew.
    pub history: u64,
    /// True while the past is being read.
    pub reading: bool,
    /// The kind of socket, from its welcome on.
    watched: Option<Watched>,
    picture: Picture,
    /// Staff is told; a hero counts.
    totals: Option<Totals>,
    filter: Filter,
    held: Option<Held>,
    selected: Option<OrderId>,
    note: Option<(String, Timestamp)>,
}

impl Model {
    /// Nothing is known yet.
    pub fn new(gateway: &str) -> Self {
        Self {
            gateway: gateway.to_owned(),
            whose: String::new(),
            link: Link::Connecting,
            names: Names::default(),
            rate: Rate::default(),
            wait: Latencies::default(),
            preparation: Latencies::default(),
            helping: false,
            typing: None,
            filter_text: String::new(),
            page: 1,
            history: 0,
            reading: false,
            watched: None,
            picture: Picture::new(MAX_ORDERS),
            totals: None,
            filter: Filter::default(),
            held: None,
            selected: None,
            note: None,
        }
    }

    /// Takes in what the link tells.
    pub fn hear(&mut self, news: SessionEvent, now: Timestamp) {
        match news {
            SessionEvent::Connecting => self.link = Link::Connecting,
            SessionEvent::Watching { whose } => {
                self.whose = whose;
                self.link = Link::Live;
                self.history += 1;
            }
            SessionEvent::Waiting { why, pause } => {
                let until = now.millis() + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 2);
                self.link = Link::Waiting {
                    why: why.to_string(),
                    until: Timestamp::from_millis(until).unwrap_or(now),
                };
            }
            SessionEvent::Frame { frame, .. } => self.apply(&frame, now),
        }
    }

    /// Takes in states that were read elsewhere: how things stand, not that they changed.
    pub fn learn(&mut self, orders: Vec<Order>) {
        self.picture.apply(&Received::Feed {
            orders,
            deleted: Vec::new(),
            totals: None,
            gap: false,
            cursor: None,
        });
        self.picture.forget_active(MAX_ORDERS);
    }

    fn apply(&mut self, frame: &Received, now: Timestamp) {
        let welcome = matches!(frame, Received::Welcome { .. });
        if matches!(frame, Received::Welcome { resume, .. } if *resume != Resume::Resumed) {
            // What was active may have ended, or be gone: nobody told.
            self.picture = Picture::new(MAX_ORDERS);
        }
        if let Received::Welcome { hero, .. } = frame {
            self.watched = Some(if hero.is_some() { Watched::Hero } else { Watched::Feed });
        }
        if matches!(frame, Received::Reply { watching: true, resume, .. } if *resume != Some(Resume::Resumed))
        {
            // Changes may have passed unseen.
            self.picture = Picture::new(MAX_ORDERS);
        }
        // Totals that the gateway does not know are absent: the last ones stay.
        if let Received::Feed { totals: Some(totals), .. }
        | Received::Reply { totals: Some(totals), .. } = frame
        {
            self.totals = Some(*totals);
        }
        if !welcome {
            frame.orders().iter().for_each(|order| self.measure(order, now));
        }
        let changes = self.picture.apply(frame);
        self.picture.forget_active(MAX_ORDERS);
        let told = changes.new + changes.next + changes.skipped;
        if !welcome && told > 0 {
            self.rate.count(told, now);
            if let Some(held) = &mut self.held {
                held.waiting += told;
            }
        }
    }

    /// The latencies that this state tells for the first time.
    fn measure(&mut self, order: &Order, now: Timestamp) {
        let known = self.picture.order(order.id);
        if self.picture.is_deleted(order.id)
            || known.is_some_and(|known| known.version >= order.version)
        {
            return;
        }
        let Some(started) = order.started_time else { return };
        if known.is_none_or(|known| known.started_time.is_none()) {
            self.wait.add(order.order_time, started, now);
        }
        if let Some(ended) = order.completed_time {
            self.preparation.add(started, ended, now);
        }
    }

    /// How many orders stand where: of every hero, as the gateway says; of one hero, as far as they
    /// are remembered. Nothing before that is known.
    pub fn totals(&self) -> Option<Totals> {
        self.totals.or_else(|| {
            let mut totals = Totals::default();
            self.picture.orders().for_each(|order| *totals.of(order.status) += 1);
            (self.watched == Some(Watched::Hero)).then_some(totals)
        })
    }

    /// What is shown, the newest order first.
    pub fn rows(&self) -> Vec<&Order> {
        let mut rows: Vec<&Order> = match &self.held {
            Some(held) => held.orders.iter().collect(),
            None => self.picture.orders().collect(),
        };
        if !self.filter.is_empty() {
            rows.retain(|order| self.filter.fits(order, &self.names));
        }
        rows.sort_by_key(|order| std::cmp::Reverse(order.id));
        rows
    }

    /// How many changes wait while the list is held still; nothing when it is not.
    pub fn waiting(&self) -> Option<usize> {
        self.held.as_ref().map(|held| held.waiting)
    }

    /// Holds the list still, or lets it go.
    pub fn toggle(&mut self) {
        self.held = match self.held {
            Some(_) => None,
            None => Some(Held { orders: self.picture.orders().cloned().collect(), waiting: 0 }),
        };
    }

    /// Where the selection is among the rows. When the selected order is not there any more, the
    /// next older one is.
    pub fn position(&self, rows: &[&Order]) -> Option<usize> {
        let selected = self.selected?;
        let last = rows.len().checked_sub(1)?;
        Some(rows.partition_point(|order| order.id > selected).min(last))
    }

    /// Moves the selection by so many rows, and never beyond an end.
    pub fn step(&mut self, rows: isize) {
        let shown = self.rows();
        let to = match self.position(&shown) {
            Some(position) => position.saturating_add_signed(rows),
            None if rows == isize::MAX => usize::MAX,
            None => 0,
        };
        self.selected = shown.get(to.min(shown.len().saturating_sub(1))).map(|order| order.id);
    }

    /// Selects nothing: the list follows the newest order.
    pub fn follow(&mut self) {
        self.selected = None;
    }

    /// The selected order, as it is shown.
    pub fn selected(&self) -> Option<&Order> {
        let rows = self.rows();
        rows.get(self.position(&rows)?).copied()
    }

    /// Begins a line.
    pub fn begin(&mut self, typing: Typing) {
        let text = if typing == Typing::Filter { self.filter_text.clone() } else { String::new() };
        self.typing = Some((typing, text));
    }

    /// Begins the line with the reason for which the selected order is cancelled, or says why it
    /// cannot be.
    pub fn begin_cancelling(&mut self, now: Timestamp) {
        let order = self
            .selected()
            .map(|order| (order.id, self.picture.order(order.id).unwrap_or(order).status));
        match order {
            Some((id, status)) if status.is_active() => self.begin(Typing::Reason(id)),
            Some((id, _)) => self.say(format!("order {id} has ended"), now),
            None => self.say("select an order first, with the arrows".to_owned(), now),
        }
    }

    /// Adds what was typed to the line, or takes its last character away. A filter works as it is
    /// typed.
    pub fn type_(&mut self, character: Option<char>) {
        let Some((typing, text)) = &mut self.typing else { return };
        match character {
            Some(character) if text.chars().count() < MAX_TYPED => text.push(character),
            Some(_) => {}
            None => drop(text.pop()),
        }
        if *typing == Typing::Filter {
            self.filter_text.clone_from(text);
            self.filter = Filter::parse(text);
        }
    }

    /// Shows everything again.
    pub fn clear_filter(&mut self) {
        self.filter_text.clear();
        self.filter = Filter::default();
        self.search();
    }

    /// Asks the gateway for what the filter lets through, and forgets what it did not: there shall
    /// be room for what is found.
    pub fn search(&mut self) {
        self.history += 1;
        if self.watched == Some(Watched::Feed) {
            self.picture = Picture::new(MAX_ORDERS);
        }
    }

    /// The filter.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Tells something for a while.
    pub fn say(&mut self, note: String, now: Timestamp) {
        self.note = Some((note, now));
    }

    /// What was told just now.
    pub fn note(&self, now: Timestamp) -> Option<&str> {
        let (note, since) = self.note.as_ref()?;
        let fresh = u128::try_from(now.millis() - since.millis())
            .is_ok_and(|passed| passed < NOTE.as_millis());
        fresh.then_some(note)
    }

    /// Somebody among these rows whose name nobody asked for yet.
    pub fn nameless(&self, rows: usize) -> Option<Nameless> {
        let shown = self.rows();
        let first = first_row(self.position(&shown), rows, shown.len());
        let whose = shown
            .iter()
            .skip(first)
            .take(rows)
            .flat_map(|order| [Nameless::Hero(order.hero_id), Nameless::Meal(order.meal_id)]);
        { whose }.find(|whose| self.names.is_missing(*whose))
    }
}

/// The first row that is shown, so that the selected one is in the middle where it can be.
pub fn first_row(position: Option<usize>, rows: usize, all: usize) -> usize {
    position.unwrap_or(0).saturating_sub(rows / 2).min(all.saturating_sub(rows))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use galley_protocol::frame::Totals;

    use super::{Link, MAX_ORDERS, Model, Typing};
    use crate::cli::client_session::SessionEvent;
    use crate::cli::error::CommandError;
    use crate::cli::watch::screen::staging::{at, feed, frame, model, order, orders, welcome};

    fn ids(model: &Model) -> Vec<i64> {
        model.rows().iter().map(|order| order.id.get()).collect()
    }

    #[test]
    fn the_newest_order_comes_first_and_the_newest_state_counts() {
        let mut model = model();
        model.hear(frame(r#"{"type":"reply","watching":true}"#), at(0));
        assert_eq!(model.totals(), None, "the gateway does not know yet");
        model.hear(feed(&[order(1, "PENDING", 1), order(2, "IN_PROGRESS", 2)]), at(0));
        model.hear(feed(&[order(2, "PENDING", 1), order(1, "COMPLETED", 3)]), at(0));
        assert_eq!(ids(&model), [2, 1]);
        assert_eq!(model.rows()[0].version.0, 2);
        assert_eq!(
            model.totals(),
            Some(Totals { pending: 7, ..Totals::default() }),
            "as the gateway says"
        );
        model.hear(frame(r#"{"type":"deleted","order_id":2,"version":4,"cursor":"r1.1"}"#), at(0));
        assert_eq!(ids(&model), [1]);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_ended_orders_go() {
        let mut model = model();
        let many = i64::try_from(MAX_ORDERS).expect("small");
        model.hear(feed(&orders(1..=10, "PENDING", 1)), at(0));
        for first in (11..3 * many).step_by(100) {
            model.hear(feed(&orders(first..=first + 99, "COMPLETED", 3)), at(0));
        }
        let left = ids(&model);
        assert_eq!(left.len(), MAX_ORDERS + 10);
        assert_eq!(left[MAX_ORDERS..], [10, 9, 8, 7, 6, 5, 4, 3, 2, 1], "active orders stay");
        for first in (3 * many..6 * many).step_by(100) {
            model.hear(feed(&orders(first..=first + 99, "PENDING", 1)), at(0));
        }
        assert_eq!(ids(&model).len(), 2 * MAX_ORDERS);
    }

    #[test]
    fn what_changed_is_measured_and_what_is_read_is_not() {
        let mut model = model();
        model.learn(vec![order(1, "PENDING", 1), order(2, "COMPLETED", 3)]);
        model.hear(welcome(&[order(3, "IN_PROGRESS", 2)]), at(0));
        assert_eq!(
            (model.wait.quantiles(at(0)), model.rate.seconds(at(0)).last()),
            (None, Some(&0))
        );
        model.hear(feed(&[order(1, "IN_PROGRESS", 2)]), at(0));
        model.hear(feed(&[order(1, "IN_PROGRESS", 2)]), at(0));
        assert_eq!(
            (model.wait.quantiles(at(0)), model.preparation.quantiles(at(0))),
            (Some((1_000, 1_000)), None)
        );
        model.hear(feed(&[order(1, "COMPLETED", 3)]), at(0));
        assert_eq!(model.preparation.quantiles(at(0)), Some((2_000, 2_000)));
        assert_eq!(model.rate.seconds(at(1)).last(), Some(&2));
    }

    #[test]
    fn a_list_that_is_held_still_says_how_much_waits() {
        let mut model = model();
        model.hear(feed(&[order(1, "PENDING", 1)]), at(0));
        model.toggle();
        model.hear(feed(&[order(1, "IN_PROGRESS", 2), order(2, "PENDING", 1)]), at(0));
        assert_eq!((ids(&model), model.waiting()), (vec![1], Some(2)));
        model.toggle();
        assert_eq!((ids(&model), model.waiting()), (vec![2, 1], None));
    }

    #[test]
    fn the_selection_stays_on_its_order() {
        let mut model = model();
        model.hear(feed(&orders(1..=9, "PENDING", 1)), at(0));
        let selected = |model: &Model| model.selected().map(|order| order.id.get());
        assert_eq!(selected(&model), None);
        for (rows, id) in
            [(1, 9), (1, 8), (-5, 9), (4, 5), (isize::MAX, 1), (isize::MIN, 9), (1, 8)]
        {
            model.step(rows);
            assert_eq!(selected(&model), Some(id), "{rows}");
        }
        model.hear(feed(&[order(10, "PENDING", 1)]), at(0));
        assert_eq!(selected(&model), Some(8));
        model.hear(frame(r#"{"type":"deleted","order_id":8,"version":4,"cursor":"r1.1"}"#), at(0));
        assert_eq!(selected(&model), Some(7), "the next older one");
        model.follow();
        model.step(isize::MAX);
        assert_eq!(selected(&model), Some(1));
    }

    #[test]
    fn only_an_active_order_is_cancelled() {
        let mut model = model();
        model.begin_cancelling(at(0));
        assert!(model.note(at(0)).is_some_and(|note| note.starts_with("select")));
        model.hear(feed(&[order(1, "PENDING", 1)]), at(0));
        model.step(1);
        model.toggle();
        model.begin_cancelling(at(0));
        assert!(
            matches!(&model.typing, Some((Typing::Reason(id), text)) if id.get() == 1 && text.is_empty())
        );
        model.typing = None;
        model.hear(feed(&[order(1, "COMPLETED", 3)]), at(0));
        model.begin_cancelling(at(0));
        assert_eq!(
            (model.note(at(0)), &model.typing),
            (Some("order 1 has ended"), &None),
            "though it is shown as pending"
        );
        assert_eq!(model.note(at(6)), None);
    }

    #[test]
    fn after_a_gap_without_a_cursor_nothing_old_is_believed() {
        let mut model = model();
        model.hear(feed(&[order(1, "PENDING", 1)]), at(0));
        model.hear(
            SessionEvent::Waiting {
                why: CommandError::failed("lost"),
                pause: Duration::from_secs(3),
            },
            at(0),
        );
        assert_eq!(model.link, Link::Waiting { why: "lost".to_owned(), until: at(3) });
        assert_eq!(ids(&model), [1], "what was known is still shown");
        model.hear(SessionEvent::Connecting, at(0));
        model.hear(frame(r#"{"type":"welcome","resume":"fresh","orders":[],"help":""}"#), at(0));
        assert_eq!(ids(&model), [0; 0]);
        let history = model.history;
        model.hear(SessionEvent::Watching { whose: "every hero".to_owned() }, at(0));
        assert_eq!((&model.link, model.history), (&Link::Live, history + 1));
        model.hear(feed(&[order(2, "PENDING", 1)]), at(0));
        model.hear(
            frame(r#"{"type":"welcome","resume":"resumed","orders":[],"cursor":"r1.1","help":""}"#),
            at(0),
        );
        assert_eq!(ids(&model), [2], "a cursor misses nothing");
    }

    #[test]
    fn a_line_is_bounded_and_a_filter_works_as_it_is_typed() {
        let mut model = model();
        model.hear(feed(&[order(1, "PENDING", 1), order(2, "CANCELLED", 3)]), at(0));
        model.begin(Typing::Filter);
        "nut".chars().for_each(|character| model.type_(Some(character)));
        assert_eq!(ids(&model), [2]);
        for _ in 0..1_000 {
            model.type_(Some('x'));
        }
        assert_eq!(model.filter_text.chars().count(), 200);
        (0..300).for_each(|_| model.type_(None));
        assert_eq!((ids(&model), model.filter_text.as_str()), (vec![2, 1], ""));
    }

    #[test]
    fn a_hero_counts_its_own() {
        let mut model = model();
        model.hear(welcome(&[order(1, "PENDING", 1), order(2, "IN_PROGRESS", 2)]), at(0));
        assert_eq!(
            model.totals(),
            Some(Totals { pending: 1, in_progress: 1, ..Totals::default() })
        );
    }
}
