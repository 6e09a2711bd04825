//! What each key does.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use galley_protocol::{OrderId, Timestamp};

use super::model::{Model, Typing};

/// The keys, for people.
pub const KEYS: [(&str, &str); 9] = [
    ("↑ ↓ PgUp PgDn", "select an order"),
    ("Home End", "the newest, the oldest"),
    ("Esc", "follow the newest"),
    ("/", "filter: words, hero:4, meal:soup, status:pending;"),
    ("", "Enter searches all orders, Esc shows all again"),
    ("p Space", "pause the list, go on"),
    ("c", "cancel the selected order"),
    ("?", "these keys"),
    ("q Ctrl-C", "leave"),
];

/// A wish that the model cannot fulfil itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Leave.
    Leave,
    /// Cancel this order for this reason.
    Cancel(OrderId, Option<String>),
}

/// Does what a key says.
pub fn press(model: &mut Model, key: KeyEvent, now: Timestamp) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && key.code == KeyCode::Char('c') {
        return Some(Wish::Leave);
    }
    if control {
        return None;
    }
    if model.typing.is_some() { type_in(model, key.code) } else { command(model, key.code, now) }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "there are many keys, and few mean anything here"
)]
fn type_in(model: &mut Model, key: KeyCode) -> Option<Wish> {
    match key {
        KeyCode::Char(character) => model.type_(Some(character)),
        KeyCode::Backspace => model.type_(None),
        KeyCode::Enter => match model.typing.take() {
            Some((Typing::Reason(id), text)) => {
                return Some(Wish::Cancel(
                    id,
                    Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
                ));
            }
            Some((Typing::Filter, _)) => model.search(),
            None => {}
        },
        KeyCode::Esc => {
            if let Some((Typing::Filter, _)) = model.typing.take() {
                model.clear_filter();
            }
        }
        _ => {}
    }
    None
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "there are many keys, and few mean anything here"
)]
fn command(model: &mut Model, key: KeyCode, now: Timestamp) -> Option<Wish> {
    let page = isize::try_from(model.page.max(1)).unwrap_or(isize::MAX);
    match key {
        KeyCode::Char('q') => return Some(Wish::Leave),
        KeyCode::Char('?') => model.helping = !model.helping,
        KeyCode::Char('/') => model.begin(Typing::Filter),
        KeyCode::Char('p' | ' ') => model.toggle(),
        KeyCode::Char('c') => model.begin_cancelling(now),
        KeyCode::Down => model.step(1),
        KeyCode::Up => model.step(-1),
        KeyCode::PageDown => model.step(page),
        KeyCode::PageUp => model.step(-page),
        KeyCode::Home => model.step(isize::MIN),
        KeyCode::End => model.step(isize::MAX),
        KeyCode::Esc if model.helping => model.helping = false,
        KeyCode::Esc => model.follow(),
        _ => {}
    }
    None
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::{Wish, press};
    use crate::cli::watch::screen::model::Model;
    use crate::cli::watch::screen::staging::{at, feed, model, order, orders};

    fn type_text(model: &mut Model, text: &str) -> Option<Wish> {
        let keys = text.chars().map(|character| match character {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '↓' => KeyCode::Down,
            '⇟' => KeyCode::PageDown,
            character => KeyCode::Char(character),
        });
        keys.filter_map(|code| press(model, code.into(), at(0))).last()
    }

    fn busy() -> Model {
        let mut model = model();
        model.hear(feed(&orders(1..=9, "PENDING", 1)), at(0));
        model
    }

    #[test]
    fn an_order_is_cancelled_for_a_reason_that_is_typed() {
        for (typed, reason) in [
            ("↓↓c changed my mind? q \n", Some("changed my mind? q")),
            ("↓↓c\n", None),
            ("↓↓c  \n", None),
        ] {
            let mut model = busy();
            let id = order(8, "PENDING", 1).id;
            assert_eq!(
                type_text(&mut model, typed),
                Some(Wish::Cancel(id, reason.map(str::to_owned)))
            );
            assert_eq!(model.typing, None);
        }
        let mut model = busy();
        assert_eq!(type_text(&mut model, "↓cnever mind\u{1b}"), None);
        assert_eq!(
            type_text(&mut model, "c\n"),
            Some(Wish::Cancel(order(9, "PENDING", 1).id, None)),
            "the text before is gone"
        );
    }

    #[test]
    fn a_filter_stays_after_enter_and_goes_with_escape() {
        let mut model = busy();
        assert_eq!(type_text(&mut model, "/7\n"), None);
        assert_eq!((model.rows().len(), model.filter_text.as_str()), (1, "7"));
        assert_eq!(type_text(&mut model, "/\u{1b}"), None);
        assert_eq!((model.rows().len(), model.filter_text.as_str()), (9, ""));
    }

    #[test]
    fn one_leaves_from_everywhere() {
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for typed in ["", "/", "↓c", "?", "p"] {
            let mut model = busy();
            assert_eq!(type_text(&mut model, typed), None);
            assert_eq!(press(&mut model, interrupt, at(0)), Some(Wish::Leave), "{typed}");
        }
        assert_eq!(type_text(&mut busy(), "?\u{1b}pp  q"), Some(Wish::Leave));
        assert_eq!(type_text(&mut busy(), "/q"), None, "a letter in a line is a letter");
    }

    #[test]
    fn pages_are_as_long_as_the_list() {
        let mut model = busy();
        model.page = 4;
        type_text(&mut model, "↓⇟");
        assert_eq!(model.selected().map(|order| order.id.get()), Some(5));
    }
}
