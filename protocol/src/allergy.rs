//! The rule by which an allergy matches an ingredient.

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_normalizer::{
    ComposingNormalizer, ComposingNormalizerBorrowed, DecomposingNormalizer,
    DecomposingNormalizerBorrowed,
};

use crate::character::{is_blank, is_diacritic, is_ignorable};

static CASES: CaseMapperBorrowed<'static> = CaseMapper::new();
static NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizer::new_nfkd();
static NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizer::new_nfc();

/// The version of [`fold`]. Changes of a folding raise it (newer Unicode data); stores then refold.
pub const FOLD_RULE: i16 = 1;

/// Returns the form in which texts are compared. Two texts match if their forms are equal. Both
/// stores keep this form next to the text.
///
/// It is the compatibility caseless form of Unicode (section 3.13, D146) without invisible
/// characters (`toNFKC_Casefold`), without diacritics, and with one space for each run of white
/// space. Invisible characters are removed first, because they would separate marks from their
/// letters. Case is folded twice, because decomposing may produce capitals, and folding may produce
/// characters that can be decomposed.
#[must_use]
pub fn fold(text: &str) -> String {
    let seen: String = text
        .chars()
        .filter(|&letter| !is_ignorable(letter))
        .map(|letter| if is_blank(letter) { ' ' } else { letter })
        .collect();
    let once = NFKD.normalize(CASES.fold_string(&NFKD.normalize(&seen)).as_ref()).into_owned();
    let caseless = NFKD.normalize(CASES.fold_string(&once).as_ref()).into_owned();
    let bare: String = caseless.chars().filter(|&letter| !is_diacritic(letter)).collect();
    // A text of accents alone keeps them. Otherwise all such texts would be equal.
    let kept = if bare.trim().is_empty() { caseless } else { bare };
    NFC.normalize(&kept).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::fold;
    use crate::character::{Forbidden, is_visible};

    /// The same vectors are given to the dashboard.
    const VECTORS: &str = include_str!("allergy.json");

    fn vectors(kind: &str) -> Vec<(String, String)> {
        let vectors: Value = serde_json::from_str(VECTORS).expect("JSON");
        let pairs = vectors[kind].as_array().expect("a list").clone();
        pairs.into_iter().map(|pair| serde_json::from_value(pair).expect("two texts")).collect()
    }

    #[test]
    fn case_diacritics_width_white_space_and_what_nobody_sees_do_not_matter() {
        for (one, other) in vectors("equal") {
            assert_eq!(fold(&one), fold(&other), "{one:?} ~ {other:?}");
        }
    }

    #[test]
    fn different_words_stay_different() {
        for (one, other) in vectors("different") {
            assert_ne!(fold(&one), fold(&other), "{one:?} ~ {other:?}");
        }
    }

    #[test]
    fn every_character_folds_to_something_exactly_when_it_is_seen_and_folding_it_twice_changes_nothing()
     {
        for character in
            ('\0'..'\u{20000}').filter(|character| Forbidden::kind(*character, false).is_none())
        {
            let folded = fold(&character.to_string());
            assert_eq!(
                folded.is_empty(),
                !is_visible(character),
                "U+{:04X} {folded:?}",
                u32::from(character)
            );
            assert_eq!(fold(&folded), folded, "U+{:04X}", u32::from(character));
            assert_eq!(
                fold(&character.to_lowercase().collect::<String>()),
                folded,
                "U+{:04X}",
                u32::from(character)
            );
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        let letter = prop_oneof![
            any::<char>(),
            proptest::char::range('\u{0}', '\u{52f}'),
            proptest::char::range('\u{300}', '\u{36f}'),
            proptest::char::range('\u{1100}', '\u{11ff}'),
            proptest::char::range('\u{1f00}', '\u{206f}'),
            proptest::char::range('\u{3040}', '\u{318f}'),
            proptest::char::range('\u{fb00}', '\u{ffff}'),
        ];
        let letter = letter.prop_filter("nobody writes controls", |letter| !letter.is_control());
        let text = proptest::collection::vec(letter, 0..12).prop_map(String::from_iter);
        proptest!(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }, |(text in text)| {
            let folded = fold(&text);
            prop_assert_eq!(fold(&folded), folded.clone());
            prop_assert_eq!(folded.is_empty(), !text.chars().any(is_visible));
        });
    }
}
