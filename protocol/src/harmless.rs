//! Makes foreign text harmless for terminals, logs and reports.
//!
//! Names and reasons may contain anything: sequences that move the cursor or set the title, marks
//! that reverse the remainder of the line, line feeds and columns that look like rows, letters with
//! a hundred accents. The shown text must not leave its place on its line. All foreign text is
//! passed through here at the edge, just before it is printed. JSON is escaped without changing its
//! meaning.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::character::{Forbidden, is_blank, is_format, is_ignorable, is_mark};

/// The replacement of a character that is not shown.
const HIDDEN: char = '·';
/// Maximum combining marks of a letter; further ones are left out.
const MAX_MARKS: usize = 3;

/// Returns the text on one line: a run of white space becomes one space, control and invisible
/// characters become `·`, piles of marks are cut. Characters that only join or vary their
/// neighbours are left out, because terminals disagree about their width.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut marks = 0;
    for character in
        text.split_whitespace().flat_map(|word| [" ", word]).flat_map(str::chars).skip(1)
    {
        if matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
        {
            continue;
        }
        marks = if is_mark(character) { marks + 1 } else { 0 };
        if marks <= MAX_MARKS {
            shown.push(if is_hidden(character) { HIDDEN } else { character });
        }
    }
    shown
}

/// Returns equivalent JSON in which all characters that a terminal would interpret are escaped.
/// JSON itself requires this only for those of ASCII, except for DEL. Line feeds between values stay.
#[must_use]
pub fn harmless_json(json: &str) -> String {
    escaped(json, |character| {
        (!character.is_ascii() || character == '\u{7f}')
            && Forbidden::kind(character, false).is_some()
    })
}

/// Returns a line of a log, or of any other output, as one line in which all characters that a
/// terminal would interpret are escaped. A line of JSON stays JSON. Only the escape character stays:
/// it colours lines, and is escaped within the texts of a line before.
#[must_use]
pub fn harmless_line(line: &str) -> Cow<'_, str> {
    let is_foul =
        |character: char| character != '\u{1b}' && Forbidden::kind(character, false).is_some();
    if line.contains(is_foul) { escaped(line, is_foul).into() } else { line.into() }
}

/// Writes the chosen characters as JSON escapes them.
fn escaped(text: &str, is_chosen: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_chosen(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").expect("a String takes whatever is written");
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Returns true if this character must not be shown. It is not white space, except for the space
/// between two words.
fn is_hidden(character: char) -> bool {
    let empty = is_blank(character) && character != ' ';
    empty
        || Forbidden::kind(character, false).is_some()
        || is_ignorable(character)
        || is_format(character)
}

#[cfg(test)]
mod tests {
    use super::{harmless, harmless_json, harmless_line};

    #[test]
    fn json_means_the_same_and_moves_nothing() {
        let text = "Zoé \u{9b}31m \u{202e}x\u{e0041} 👨\u{200d}👩";
        let json = harmless_json(&serde_json::to_string(text).expect("JSON"));
        assert_eq!(json, "\"Zoé \\u009b31m \\u202ex\\udb40\\udc41 👨\u{200d}👩\"");
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(
            harmless_line("a\nb\r\u{85}c\u{7f}\u{202e}"),
            "a\\u000ab\\u000d\\u0085c\\u007f\\u202e"
        );
        let coloured = "\u{1b}[32mINFO\u{1b}[0m Zoé 👩\u{200d}🚀";
        assert_eq!(harmless_line(coloured), coloured);
        assert_eq!(harmless_json("{\"a\":\n\"\u{7f}\"}"), "{\"a\":\n\"\\u007f\"}");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_a_mark() {
        for (text, shown) in [
            ("Zoé", "Zoé"),
            ("\u{1b}[2J\u{1b}]0;owned\u{7}", "·[2J·]0;owned·"),
            ("\u{9b}31m", "·31m"),
            ("a\r\n\tb", "a b"),
            ("a   12  COMPLETED", "a 12 COMPLETED"),
            ("a\u{2028}b\u{2029}c\u{85}d\u{b}e", "a b c d e"),
            ("\u{202e}live\u{2066}", "·live·"),
            ("a\u{e0041}\u{e007f}b", "a··b"),
            ("in\u{200b}visible\u{ad}", "in·visible·"),
            ("\u{3164}\u{115f}\u{2800}\u{feff}", "····"),
            ("a\u{fff9}b\u{fdd0}", "a·b·"),
            ("\u{2764}\u{fe0f} \u{1f469}\u{200d}\u{1f680}", "\u{2764} \u{1f469}\u{1f680}"),
            ("火鍋 🍲 ليلى", "火鍋 🍲 ليلى"),
            ("กุ้ง दूध", "กุ้ง दूध"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), shown, "{text:?}");
        }
        assert_eq!(
            harmless(&format!("e{}x", "\u{301}".repeat(100))),
            format!("e{}x", "\u{301}".repeat(3))
        );
        assert_eq!(harmless("e\u{301}te\u{301}"), "e\u{301}te\u{301}");
    }
}
