//! Validated texts: trimmed, bounded, visible and without deceptive characters.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::character::{Forbidden, is_visible};

/// The most characters of a name, a planet, an ingredient or an allergy.
pub const MAX_NAME: usize = 200;
/// The most characters of a description, a message or a reason.
pub const MAX_TEXT: usize = 2_000;
/// The most characters of an idempotency key.
pub const MAX_KEY: usize = 255;
/// The most entries of a list of ingredients or allergies.
pub const MAX_ENTRIES: usize = 100;

/// The reason why a text is refused. `Display` is the `detail` of a field error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// Nothing is left after trimming.
    Empty,
    /// Nothing but spaces, joiners, fillers and the like.
    Invisible,
    /// More characters than the bound.
    TooLong(usize),
    /// A character that no text may hold.
    Forbidden {
        /// Its kind.
        kind: Forbidden,
        /// The character.
        character: char,
        /// Its position in the original text, counted from 1.
        place: usize,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// One line for people, with a visible character and without deceptive ones.
    Line,
    /// The same in several lines.
    Lines,
    /// A search term: folded, so that deceptive characters do no harm, and old names can be found.
    Search,
    /// A name for programs, compared byte by byte.
    Key,
}

impl Rule {
    fn forbids(self, character: char) -> Option<Forbidden> {
        let kind = Forbidden::kind(character, self == Self::Lines)?;
        match self {
            Self::Line | Self::Lines => Some(kind),
            Self::Search | Self::Key => {
                matches!(kind, Forbidden::Control | Forbidden::LineBreak).then_some(kind)
            }
        }
    }

    /// Returns true if one such character is enough for a text not to count as invisible.
    fn is_enough(self, character: char) -> bool {
        self == Self::Key || (is_visible(character) && Forbidden::kind(character, true).is_none())
    }

    /// The forbidden characters of the basic plane, as the inside of a bracket expression.
    const fn forbidden(self) -> &'static str {
        match self {
            Self::Line => {
                r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff"
            }
            Self::Lines => {
                r"\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff"
            }
            Self::Search | Self::Key => r"\u0000-\u001f\u007f-\u009f\u2028\u2029",
        }
    }

    /// The characters of the basic plane that are not enough by themselves, in the same form.
    const fn not_enough(self) -> &'static str {
        match self {
            Self::Line | Self::Lines | Self::Search => {
                r"\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
            }
            Self::Key => {
                r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
            }
        }
    }
}

fn parse(text: &str, least: usize, most: usize, rule: Rule) -> Result<String, TextError> {
    // Checked before trimming, because no forbidden character is allowed at an end either.
    let forbidden = |(index, character)| Some((rule.forbids(character)?, character, index + 1));
    if let Some((kind, character, place)) = text.chars().enumerate().find_map(forbidden) {
        return Err(TextError::Forbidden { kind, character, place });
    }
    let trimmed = text.trim();
    let length = trimmed.chars().count();
    if length < least {
        Err(TextError::Empty)
    } else if length > most {
        Err(TextError::TooLong(most))
    } else if length > 0 && !trimmed.chars().any(|character| rule.is_enough(character)) {
        Err(TextError::Invisible)
    } else {
        Ok(trimmed.to_owned())
    }
}

/// Returns a regular expression for the texts that [`parse`] accepts unchanged, except for their
/// length. Every dialect understands it, JavaScript with and without its `u` flag. The dialects
/// have no common notation for characters beyond the basic plane, so only the parser refuses
/// invisible ones there.
fn pattern(least: usize, rule: Rule) -> String {
    let any = format!("[^{}]*", rule.forbidden());
    let whole = format!("{any}[^{}]{any}", rule.not_enough());
    if least > 0 { format!("^{whole}$") } else { format!("^({whole})?$") }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $least:expr, $most:expr, $rule:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Trims and checks.
            ///
            /// # Errors
            /// [`TextError`] names the rule.
            pub fn parse(text: &str) -> Result<Self, TextError> {
                parse(text, $least, $most, $rule).map(Self)
            }

            /// Takes a text accepted before, perhaps under an older rule: stored or from an answer.
            #[must_use]
            pub fn accepted(text: String) -> Self {
                Self(text)
            }

            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .min_length(Some($least))
                    .max_length(Some($most))
                    .pattern(Some(pattern($least, $rule)))
                    .build()
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )+};
}

texts! {
    /// The name of a hero: 1 to 200 characters.
    HeroName: 1, MAX_NAME, Rule::Line;
    /// The name of a meal: 1 to 200 characters.
    MealName: 1, MAX_NAME, Rule::Line;
    /// A planet: 1 to 200 characters.
    Planet: 1, MAX_NAME, Rule::Line;
    /// An ingredient of a meal: 1 to 200 characters.
    Ingredient: 1, MAX_NAME, Rule::Line;
    /// Something a hero cannot eat: 1 to 200 characters.
    Allergy: 1, MAX_NAME, Rule::Line;
    /// The description of a meal: up to 2,000 characters, lines allowed.
    Description: 0, MAX_TEXT, Rule::Lines;
    /// Why an order is cancelled, in a person's words: 1 to 2,000 characters, lines allowed.
    ReasonText: 1, MAX_TEXT, Rule::Lines;
    /// A part of a name to look for: 1 to 200 characters, of which at least one can be seen.
    NamePart: 1, MAX_NAME, Rule::Search;
    /// A key under which a client may repeat a request safely: 1 to 255 characters.
    IdempotencyKey: 1, MAX_KEY, Rule::Key;
}

impl Default for Description {
    /// No description.
    fn default() -> Self {
        Self(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::{Allergy, Description, HeroName, IdempotencyKey, NamePart, ReasonText, TextError};

    fn refused(error: Option<TextError>) -> String {
        error.map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_name_is_trimmed_and_bounded_in_characters() {
        assert_eq!(HeroName::parse("  Zoé  ").map(String::from), Ok("Zoé".to_owned()));
        assert_eq!(
            HeroName::parse(&"é".repeat(200)).map(|name| name.as_str().chars().count()),
            Ok(200)
        );
        assert_eq!(HeroName::parse(&"é".repeat(201)), Err(TextError::TooLong(200)));
        assert_eq!(HeroName::parse("  "), Err(TextError::Empty));
    }

    #[test]
    fn what_controls_or_deceives_is_refused_even_at_the_ends_with_its_name_and_its_place() {
        for (wrong, why) in [
            ("a\0b", "U+0000 (a control character), which is character 2"),
            ("a\nb", "U+000A (a control character), which is character 2"),
            ("\tname", "U+0009 (a control character), which is character 1"),
            ("éé\r\n", "U+000D (a control character), which is character 3"),
            ("a\u{1b}[2Jb", "U+001B (a control character), which is character 2"),
            ("a\u{85}b", "U+0085 (a control character), which is character 2"),
            ("a\u{2028}b", "U+2028 (a line break), which is character 2"),
            ("ab\u{202e}", "U+202E (a bidirectional control), which is character 3"),
            ("\u{200f}a", "U+200F (a bidirectional control), which is character 1"),
            ("a\u{61c}", "U+061C (a bidirectional control), which is character 2"),
            ("a\u{2069}", "U+2069 (a bidirectional control), which is character 2"),
            ("a\u{206d}", "U+206D (a bidirectional control), which is character 2"),
            ("a\u{e0061}", "U+E0061 (an invisible tag), which is character 2"),
            ("a\u{fff9}", "U+FFF9 (an annotation mark), which is character 2"),
            ("a\u{fdd0}", "U+FDD0 (not a character), which is character 2"),
            ("a\u{10ffff}", "U+10FFFF (not a character), which is character 2"),
        ] {
            let expected = format!("must not contain {why}");
            assert_eq!(refused(HeroName::parse(wrong).err()), expected, "{wrong:?}");
            if !wrong.contains(['\n', '\t', '\u{2028}']) {
                assert_eq!(refused(ReasonText::parse(wrong).err()), expected, "{wrong:?}");
            }
        }
    }

    #[test]
    fn a_text_has_something_to_see() {
        for wrong in [
            "\u{200b}",
            "\u{2800}",
            "\u{3164}",
            "\u{ad} \u{feff}",
            "\u{115f}\u{fe0f}",
            "\u{200d}\u{e0100}",
            "\u{1d159}",
        ] {
            assert_eq!(Allergy::parse(wrong), Err(TextError::Invisible), "{wrong:?}");
            assert_eq!(Description::parse(wrong), Err(TextError::Invisible), "{wrong:?}");
            assert_eq!(NamePart::parse(wrong), Err(TextError::Invisible), "{wrong:?}");
        }
    }

    #[test]
    fn scripts_and_emoji_that_need_what_nobody_sees_are_taken_as_they_are() {
        for name in [
            "می\u{200c}گو",
            "क्\u{200d}ष",
            "👨\u{200d}👩\u{200d}👧 soup",
            "❤\u{fe0f}",
            "葛\u{e0100}城",
            "co\u{ad}op",
            "ليلى",
            "שלום",
        ] {
            assert_eq!(HeroName::parse(name).map(String::from), Ok(name.to_owned()));
        }
    }

    #[test]
    fn a_description_may_be_empty_and_have_lines() {
        assert_eq!(Description::parse("").map(String::from), Ok(String::new()));
        assert_eq!(Description::parse("one\ntwo").map(String::from), Ok("one\ntwo".to_owned()));
        assert!(Description::parse("bell\u{7}").is_err());
    }

    #[test]
    fn what_is_looked_for_may_hold_whatever_folds_away() {
        assert_eq!(NamePart::parse("a\u{202e}b").map(String::from), Ok("a\u{202e}b".to_owned()));
        assert!(NamePart::parse("a\nb").is_err());
    }

    #[test]
    fn a_key_is_compared_as_it_is() {
        assert_eq!(IdempotencyKey::parse("\u{200b}").map(String::from), Ok("\u{200b}".to_owned()));
        assert!(IdempotencyKey::parse("a\u{7}").is_err());
    }

    #[test]
    fn what_was_accepted_under_an_older_rule_can_still_be_read() {
        let name: HeroName = serde_json::from_str("\"a\u{202e}b\"").expect("an old name");
        assert_eq!(name.as_str(), "a\u{202e}b");
    }
}
