//! The languages of the service. Each is one file of `languages/`, with everything that the service
//! says to people; one that lacks a sentence, or an argument of it, does not compile.

mod stored_messages;

use std::fmt;

use serde::{Serialize, Serializer};

use crate::audience::Audience;
use crate::character::Forbidden;
use crate::id::{HeroId, MealId, OrderId, Version};
use crate::lifecycle::{Reason, Status};
use crate::problem_type::ProblemType;
use crate::sentence::Sentence;

/// The language of a reader; English by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Language(u8);

/// The texts of one language.
struct Catalogue {
    code: &'static str,
    title: fn(ProblemType) -> &'static str,
    explanation: fn(ProblemType) -> &'static str,
    message: fn(Reason) -> &'static str,
    help: fn(Audience) -> &'static str,
    status: fn(Status) -> &'static str,
    character: fn(Forbidden) -> &'static str,
    template: fn(&Sentence) -> &'static str,
    write: fn(&Sentence, Language, &mut fmt::Formatter<'_>) -> fmt::Result,
    /// The names of the sentences and their texts.
    #[cfg(test)]
    sentences: &'static [(&'static str, &'static str)],
}

macro_rules! language {
    (
        code: $code:literal,
        help: { $($audience:ident: $help:literal)* }
        statuses: { $($status:ident: $word:literal)* }
        messages: { $($reason:ident: $message:literal)* }
        characters: { $($character:ident: $name:literal)* }
        problems: { $($kind:ident: $title:literal $explanation:literal)* }
        sentences: { $($key:ident $(($($argument:ident),+))?: $text:literal)* }
    ) => {
        use std::fmt;

        use $crate::audience::Audience;
        use $crate::character::Forbidden;
        use $crate::language::{Catalogue, In, Language};
        use $crate::lifecycle::{Reason, Status};
        use $crate::problem_type::ProblemType;
        use $crate::sentence::Sentence;

        pub(super) static CATALOGUE: Catalogue = Catalogue {
            code: $code,
            title: |kind| match kind { $(ProblemType::$kind => $title,)* },
            explanation: |kind| match kind { $(ProblemType::$kind => $explanation,)* },
            message: |reason| match reason { $(Reason::$reason => $message,)* },
            help: |audience| match audience { $(Audience::$audience => $help,)* },
            status: |status| match status { $(Status::$status => $word,)* },
            character: |kind| match kind { $(Forbidden::$character => $name,)* },
            template: |sentence| match sentence {
                Sentence::Title(_) | Sentence::Explanation(_) | Sentence::Said(_) => "",
                $(Sentence::$key { .. } => $text,)*
            },
            write,
            #[cfg(test)]
            sentences: &[$((stringify!($key), $text)),*],
        };

        fn write(
            sentence: &Sentence,
            language: Language,
            formatter: &mut fmt::Formatter<'_>,
        ) -> fmt::Result {
            match sentence {
                Sentence::Title(kind) => formatter.write_str(language.title(*kind)),
                Sentence::Explanation(kind) => formatter.write_str(language.explanation(*kind)),
                Sentence::Said(text) => formatter.write_str(text),
                $(Sentence::$key $(($($argument),+))? => {
                    $($(let $argument = In($argument, language);)+)?
                    write!(formatter, $text)
                })*
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/languages.rs"));

impl Language {
    /// The number of languages.
    pub const COUNT: usize = CATALOGUES.len();

    /// Returns every language, English first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).take(Self::COUNT).map(Self)
    }

    /// Returns the best of the languages that a reader takes (RFC 9110 section 12.5.4): `fr`,
    /// `fr-CA, en;q=0.5`, `*`. `None` if the service speaks none of them.
    #[must_use]
    pub fn accepted(ranges: &str) -> Option<Self> {
        let mut best = None;
        for range in ranges.split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let Some(quality) = quality(parts.next()) else { continue };
            let found = match tag {
                "*" => Some(Self::default()),
                tag => Self::all().find(|language| language.is_meant(tag)),
            };
            // Of equals the first one counts.
            if let Some(language) = found
                && quality > best.map_or(0, |(_, quality)| quality)
            {
                best = Some((language, quality));
            }
        }
        best.map(|(language, _)| language)
    }

    /// Returns its place among the languages.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Returns the tag of the language, such as `en`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.catalogue().code
    }

    /// Returns the name of a type of problem for people.
    #[must_use]
    pub fn title(self, kind: ProblemType) -> &'static str {
        (self.catalogue().title)(kind)
    }

    /// Returns the meaning of a type of problem and what to do about it.
    #[must_use]
    pub fn explanation(self, kind: ProblemType) -> &'static str {
        (self.catalogue().explanation)(kind)
    }

    /// Returns the commands that may be typed; the `help` of the welcome frame.
    #[must_use]
    pub fn help(self, audience: Audience) -> &'static str {
        (self.catalogue().help)(audience)
    }

    /// Returns the `message` of an order that was cancelled for this reason without a text from a
    /// person. After [`Reason::Allergy`] the names of the conflicting ingredients follow.
    fn message(self, reason: Reason) -> &'static str {
        (self.catalogue().message)(reason)
    }

    /// Returns true if a language range means this language: `fr` and `fr-CA` mean French.
    fn is_meant(self, tag: &str) -> bool {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        primary.eq_ignore_ascii_case(self.code())
    }

    fn catalogue(self) -> &'static Catalogue {
        CATALOGUES[self.index()]
    }
}

/// Returns the weight of a range in thousandths; `None` if it is malformed.
fn quality(parameter: Option<&str>) -> Option<u16> {
    let Some(parameter) = parameter else { return Some(1_000) };
    let (name, value) = parameter.trim().split_once('=')?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_number = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = format!("{whole}{fraction:0<3}").parse().ok()?;
    let is_quality = name.eq_ignore_ascii_case("q") && whole.len() == 1 && is_number;
    (is_quality && thousandths <= 1_000).then_some(thousandths)
}

impl Reason {
    /// Returns the `message` that is stored for this reason, in English.
    #[must_use]
    pub fn message(self) -> &'static str {
        Language::default().message(self)
    }
}

impl Sentence {
    /// Returns the English sentence, with the names of its arguments in their places.
    #[must_use]
    pub fn template(&self) -> &'static str {
        (Language::default().catalogue().template)(self)
    }

    /// Writes the sentence in a language.
    #[must_use]
    pub fn said_in(&self, language: Language) -> Self {
        Self::Said(In(self, language).to_string())
    }
}

/// In English.
impl fmt::Display for Sentence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(Language::default(), formatter)
    }
}

impl Serialize for Sentence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An argument of a sentence in a language.
struct In<'a, T>(&'a T, Language);

impl<T: Say> fmt::Display for In<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.say(self.1, formatter)
    }
}

/// Writes itself in a language.
trait Say {
    fn say(&self, language: Language, formatter: &mut fmt::Formatter<'_>) -> fmt::Result;
}

macro_rules! say {
    ($($kind:ty: $value:ident, $language:pat => $text:expr;)*) => {$(
        impl Say for $kind {
            fn say(&self, $language: Language, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $value = self;
                write!(out, "{}", $text)
            }
        }
    )*};
}

// Numbers stand as JSON writes them, because people type them back.
say! {
    String: value, _ => value;
    &'static str: value, _ => value;
    usize: value, _ => value;
    i64: value, _ => value;
    HeroId: value, _ => value;
    MealId: value, _ => value;
    OrderId: value, _ => value;
    Version: value, _ => value;
    Status: value, language => (language.catalogue().status)(*value);
    Forbidden: value, language => (language.catalogue().character)(*value);
    Audience: value, language => language.help(*value);
    Box<Sentence>: value, language => In(&**value, language);
}

impl Say for Sentence {
    fn say(&self, language: Language, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (language.catalogue().write)(self, language, formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Audience, Language, Sentence};
    use crate::{HeroId, OrderId, ProblemType, Reason, Status};

    fn code(ranges: &str) -> Option<&'static str> {
        Language::accepted(ranges).map(Language::code)
    }

    #[test]
    fn the_language_with_the_greatest_weight_is_spoken() {
        for (ranges, language) in [
            ("fr", "fr"),
            ("FR-ca", "fr"),
            ("fr_FR.UTF-8", "fr"),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr"),
            ("en;q=0.8, fr;q=0.9", "fr"),
            ("en, fr", "en"),
            ("de, fr;q=0.1", "fr"),
            ("de, *;q=0.1", "en"),
            ("fr;q=0, en;q=0.001", "en"),
            ("fr;q=0.5, *", "en"),
            ("*", "en"),
            (" ,, fr ; q=1.000", "fr"),
        ] {
            assert_eq!(code(ranges), Some(language), "{ranges}");
        }
    }

    #[test]
    fn a_language_that_is_not_spoken_is_none() {
        for ranges in ["", "de", "fre", "fr;q=0", "fr;q=2", "fr;q=x", "fr;x=1", "fr;q=0.1234", "é"]
        {
            assert_eq!(code(ranges), None, "{ranges}");
        }
    }

    /// The names in braces.
    fn arguments(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|part| part.split('}').next()).collect()
    }

    #[test]
    fn every_language_says_everything_in_words_of_its_own_with_the_same_arguments() {
        let english = Language::default();
        for language in Language::all().skip(1) {
            let sentences =
                language.catalogue().sentences.iter().zip(english.catalogue().sentences);
            for ((name, text), (english_name, english_text)) in sentences {
                assert_eq!(name, english_name, "the languages have one order");
                assert_eq!(arguments(text), arguments(english_text), "{name}");
                let has_words = english_text.contains(' ') && *name != "WrongField";
                assert!(!has_words || text != english_text, "{name}");
            }
            for kind in ProblemType::ALL {
                assert_ne!(language.title(*kind), english.title(*kind));
                assert_ne!(language.explanation(*kind), english.explanation(*kind));
            }
            for reason in Reason::ALL {
                let message = language.message(reason);
                assert_ne!(message, reason.message());
                assert!(!message.contains(['"', '\\']), "{message} stands in JSON as it is");
                let lists = message.ends_with(": ");
                assert_eq!(lists, reason == Reason::Allergy, "ingredients follow a colon");
            }
            for audience in [Audience::Hero, Audience::Staff] {
                assert_ne!(language.help(audience), english.help(audience));
            }
        }
    }

    #[test]
    fn the_arguments_of_a_sentence_are_said_in_its_language_too() {
        let french = Language::accepted("fr").expect("French");
        let order = OrderId::new(7).expect("an id");
        for (sentence, english, in_french) in [
            (
                Sentence::OrderEnded(order, Status::Completed),
                "order 7 is COMPLETED already",
                "la commande 7 est déjà terminée",
            ),
            (
                Sentence::UsageOfCancel(Box::new(Sentence::TooLong(9))),
                "usage: cancel <order> [why], where the reason must have at most 9 characters",
                "usage : cancel <commande> [raison], où la raison doit avoir au plus 9 caractères",
            ),
            (Sentence::Title(ProblemType::NotFound), "Not found", "Introuvable"),
            (Sentence::NoHero(HeroId::FIRST), "there is no hero 1", "il n'y a pas de héros 1"),
        ] {
            assert_eq!(sentence.to_string(), english);
            assert_eq!(sentence.said_in(french).to_string(), in_french);
            assert_eq!(
                sentence.said_in(french).said_in(Language::default()).to_string(),
                in_french
            );
        }
    }
}
