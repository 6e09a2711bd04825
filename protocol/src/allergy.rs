//! When an allergy matches an ingredient.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The form in which texts are compared: Unicode NFKC, lower case, without diacritics, white space folded to one space.
/// Two texts are alike when their forms are equal. Both stores keep this form beside the text.
#[must_use]
pub fn fold(text: &str) -> String {
    let compatible: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let bare: String = compatible.nfd().filter(|character| !is_combining_mark(*character)).nfkc().collect();
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_diacritics_width_and_white_space_do_not_matter() {
        for (one, other) in [
            ("Crème  fraîche", "creme fraiche"),
            ("CRE\u{300}ME FRAI\u{302}CHE", "crème fraîche"),
            ("ﬁg", "fig"),
            ("Ｍｉｌｋ", "milk"),
            ("\u{a0}pea\u{2003}nut ", "Pea nut"),
            ("ÅNGSTRÖM", "angstrom"),
            ("İstanbul", "istanbul"),
            ("ΛΆΔΙ", "λαδι"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} ~ {other}");
        }
    }

    #[test]
    fn different_words_stay_different() {
        for (one, other) in [("peanut", "peanuts"), ("milk", "almond milk"), ("œuf", "oeuf"), ("seafood", "sea food")] {
            assert_ne!(fold(one), fold(other), "{one} ~ {other}");
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in ["Crème  fraîche", "İ", "ǅ", "ﬃ", "①", "a\u{301}\u{327}"] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }
}
