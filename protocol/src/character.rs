//! The kinds of characters that matter to texts. Only this module reads the Unicode data.

use icu_properties::props::{
    BidiControl, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, Script,
    WhiteSpace,
};
use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
};

static IGNORABLE: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<DefaultIgnorableCodePoint>();
static BIDI_CONTROL: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<BidiControl>();
static WHITE_SPACE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<WhiteSpace>();
static CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();
static SCRIPT: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::<Script>::new();

/// A kind of character that no text may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// Unicode category Cc, such as a bell or an escape.
    Control,
    /// A line or paragraph separator, where only one line is allowed.
    LineBreak,
    /// A control of the text direction, or a mark with a direction (property `Bidi_Control`); also
    /// the deprecated U+206A to U+206F.
    Bidirectional,
    /// An invisible copy of ASCII, and the unassigned code points next to it.
    Tag,
    /// A mark that hides an annotation in a text (U+FFF9 to U+FFFB).
    Annotation,
    /// A code point that is never a character, by definition of Unicode.
    Noncharacter,
}

impl Forbidden {
    /// Returns the kind of a character that no text may contain, `None` for others. Texts of
    /// several `lines` may contain line breaks and tabs.
    #[must_use]
    pub fn kind(character: char, lines: bool) -> Option<Self> {
        match character {
            '\n' | '\t' | '\u{2028}' | '\u{2029}' if lines => None,
            _ if character.is_control() => Some(Self::Control),
            '\u{2028}' | '\u{2029}' => Some(Self::LineBreak),
            '\u{206a}'..='\u{206f}' => Some(Self::Bidirectional),
            _ if BIDI_CONTROL.contains(character) => Some(Self::Bidirectional),
            '\u{fff9}'..='\u{fffb}' => Some(Self::Annotation),
            '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}' => Some(Self::Tag),
            '\u{fdd0}'..='\u{fdef}' => Some(Self::Noncharacter),
            // The last two code points of every plane.
            _ if u32::from(character) & 0xfffe == 0xfffe => Some(Self::Noncharacter),
            _ => None,
        }
    }
}

/// Returns true if ignored in comparisons: joiners, soft hyphens, variation selectors, fillers.
#[must_use]
pub fn is_ignorable(character: char) -> bool {
    IGNORABLE.contains(character)
}

/// Returns true if the character looks blank. The empty Braille pattern and the empty notehead do,
/// but are not white space in Unicode.
#[must_use]
pub fn is_blank(character: char) -> bool {
    WHITE_SPACE.contains(character) || matches!(character, '\u{2800}' | '\u{1d159}')
}

/// Returns true if the character is visible.
#[must_use]
pub fn is_visible(character: char) -> bool {
    !is_blank(character) && !is_ignorable(character) && !character.is_control()
}

/// Returns true if the character is a mark on or under the letter before it, in any script.
#[must_use]
pub fn is_mark(character: char) -> bool {
    GeneralCategoryGroup::Mark.contains(CATEGORY.get(character))
}

/// Returns true if the character only affects how its neighbours are shown (Unicode category Cf).
#[must_use]
pub fn is_format(character: char) -> bool {
    CATEGORY.get(character) == GeneralCategory::Format
}

/// Returns true if the character is an accent. Marks that spell are not: the vowels of Devanagari
/// or Thai, the voicing of kana.
#[must_use]
pub fn is_diacritic(character: char) -> bool {
    let accents = matches!(
        SCRIPT.get(character),
        Script::Inherited
            | Script::Common
            | Script::Latin
            | Script::Greek
            | Script::Cyrillic
            | Script::Hebrew
            | Script::Arabic
            | Script::Syriac
    );
    accents && is_mark(character) && !matches!(character, '\u{3099}' | '\u{309a}')
}
