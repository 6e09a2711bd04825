//! Text that cannot be wrong once parsed: trimmed, bounded in characters, free of control characters.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most characters of a name, a planet, an ingredient or an allergy.
pub const MAX_NAME: usize = 200;
/// The most characters of a description, a message or a reason.
pub const MAX_TEXT: usize = 2_000;
/// The most characters of an idempotency key.
pub const MAX_KEY: usize = 255;
/// The most entries of a list of ingredients or allergies.
pub const MAX_ENTRIES: usize = 100;

/// Why a text is refused. `Display` is the `detail` of a field error.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TextError {
    /// Nothing is left after trimming.
    #[error("must not be empty")]
    Empty,
    /// More characters than the bound.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A control character (Unicode category Cc), a line or paragraph separator.
    #[error("must not contain control characters")]
    Control,
}

/// A line feed or a tab may stand in text of several lines, nothing else that controls.
fn is_refused(character: char, lines: bool) -> bool {
    (character.is_control() && !(lines && matches!(character, '\n' | '\t')))
        || (!lines && matches!(character, '\u{2028}' | '\u{2029}'))
}

fn parse(text: &str, least: usize, most: usize, lines: bool) -> Result<String, TextError> {
    if text.chars().any(|character| is_refused(character, lines)) {
        return Err(TextError::Control);
    }
    let trimmed = text.trim();
    let length = trimmed.chars().count();
    if length < least {
        Err(TextError::Empty)
    } else if length > most {
        Err(TextError::TooLong(most))
    } else {
        Ok(trimmed.to_owned())
    }
}

/// What [`parse`] takes, as a regular expression that every dialect understands.
fn pattern(least: usize, lines: bool) -> String {
    let any = if lines { r"[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]" } else { r"[^\u0000-\u001f\u007f-\u009f\u2028\u2029]" };
    let mark = if least > 0 { r"[^\s\u0000-\u001f\u007f-\u009f]" } else { "" };
    if mark.is_empty() { format!("^{any}*$") } else { format!("^{any}*{mark}{any}*$") }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $least:expr, $most:expr, lines: $lines:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Trims and checks.
            ///
            /// # Errors
            /// [`TextError`] says which bound is broken.
            pub fn parse(text: &str) -> Result<Self, TextError> {
                parse(text, $least, $most, $lines).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;
            fn try_from(text: String) -> Result<Self, TextError> {
                Self::parse(&text)
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
                    .pattern(Some(pattern($least, $lines)))
                    .build()
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

text! {
    /// The name of a hero: 1 to 200 characters.
    HeroName, 1, MAX_NAME, lines: false
}
text! {
    /// The name of a meal: 1 to 200 characters.
    MealName, 1, MAX_NAME, lines: false
}
text! {
    /// A planet: 1 to 200 characters.
    Planet, 1, MAX_NAME, lines: false
}
text! {
    /// An ingredient of a meal: 1 to 200 characters.
    Ingredient, 1, MAX_NAME, lines: false
}
text! {
    /// Something a hero cannot eat: 1 to 200 characters.
    Allergy, 1, MAX_NAME, lines: false
}
text! {
    /// The description of a meal: up to 2,000 characters, lines allowed.
    Description, 0, MAX_TEXT, lines: true
}
text! {
    /// Why an order is cancelled, in a person's words: 1 to 2,000 characters, lines allowed.
    ReasonText, 1, MAX_TEXT, lines: true
}
text! {
    /// A key under which a client may repeat a request safely: 1 to 255 characters.
    IdempotencyKey, 1, MAX_KEY, lines: false
}

impl Default for Description {
    /// No description.
    fn default() -> Self {
        Self(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::{Description, HeroName, TextError};

    #[test]
    fn a_name_is_trimmed_and_bounded_in_characters() {
        assert_eq!(HeroName::parse("  Zoé  ").map(String::from), Ok("Zoé".to_owned()));
        assert_eq!(HeroName::parse(&"é".repeat(200)).map(|name| name.as_str().chars().count()), Ok(200));
        assert_eq!(HeroName::parse(&"é".repeat(201)), Err(TextError::TooLong(200)));
        assert_eq!(HeroName::parse("  "), Err(TextError::Empty));
    }

    #[test]
    fn control_characters_are_refused_even_at_the_ends() {
        for wrong in ["a\0b", "a\nb", "\tname", "name\r\n", "a\u{1b}[2Jb", "a\u{85}b", "a\u{2028}b"] {
            assert_eq!(HeroName::parse(wrong), Err(TextError::Control), "{wrong:?}");
        }
    }

    #[test]
    fn a_description_may_be_empty_and_have_lines() {
        assert_eq!(Description::parse("").map(String::from), Ok(String::new()));
        assert_eq!(Description::parse("one\ntwo").map(String::from), Ok("one\ntwo".to_owned()));
        assert_eq!(Description::parse("bell\u{7}"), Err(TextError::Control));
    }
}
