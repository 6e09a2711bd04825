//! Text of others, made harmless for a terminal.
//!
//! Names and reasons are whatever somebody typed: sequences that move the cursor or set the title, marks that turn the rest of the
//! line around, letters under a hundred accents. What is shown of them stays within its place on its line.

/// Stands for what is not shown.
const HIDDEN: char = '·';
/// The most marks that a letter may carry; more are left out.
const MAX_MARKS: usize = 3;

/// The text on one line: white space is one blank, what controls or cannot be seen is `·`, piles of marks are cut. What only joins or
/// varies its neighbours is left out, for terminals disagree about its width.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut marks = 0;
    for character in text.split_whitespace().flat_map(|word| [" ", word]).flat_map(str::chars).skip(1) {
        if matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}') {
            continue;
        }
        marks = if is_mark(character) { marks + 1 } else { 0 };
        if marks <= MAX_MARKS {
            shown.push(if is_hidden(character) { HIDDEN } else { character });
        }
    }
    shown
}

/// Controls (Unicode category Cc), and what is there but not seen (Cf and its like): directions, tags, fillers.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// What is put on the letter before it.
fn is_mark(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}'
        | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{3099}'..='\u{309a}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_a_mark() {
        for (text, shown) in [
            ("Zoé", "Zoé"),
            ("\u{1b}[2J\u{1b}]0;owned\u{7}", "·[2J·]0;owned·"),
            ("\u{9b}31m", "·31m"),
            ("a\r\n\tb", "a b"),
            ("\u{202e}live\u{2066}", "·live·"),
            ("in\u{200b}visible\u{ad}", "in·visible·"),
            ("\u{2764}\u{fe0f} \u{1f469}\u{200d}\u{1f680}", "\u{2764} \u{1f469}\u{1f680}"),
            ("火鍋 🍲 ليلى", "火鍋 🍲 ليلى"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), shown, "{text:?}");
        }
        assert_eq!(harmless(&format!("e{}x", "\u{301}".repeat(100))), "e\u{301}\u{301}\u{301}x");
        assert_eq!(harmless("e\u{301}te\u{301}"), "e\u{301}te\u{301}");
    }
}
