//! The kinds of characters that matter to texts: what nobody sees, what deceives, what only accents
//! its letter. The one place that asks the Unicode data; the parsers of texts, the folding and the
//! terminal output all follow it.

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
    /// Turns the direction of what follows, or is marked as doing so (property `Bidi_Control`);
    /// with its deprecated companions.
    Bidirectional,
    /// A copy of ASCII that nobody sees, and the unassigned places beside it.
    Tag,
    /// Hides a comment in a text (U+FFF9 to U+FFFB).
    Annotation,
    /// Never a character, by definition of Unicode.
    Noncharacter,
}

impl Forbidden {
    /// The kind of this character, when no text may hold it. Texts of several lines have line feeds
    /// and tabs.
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
            _ if u32::from(character) & 0xfffe == 0xfffe => Some(Self::Noncharacter),
            _ => None,
        }
    }

    /// Its name in a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "a control character",
            Self::LineBreak => "a line break",
            Self::Bidirectional => "a bidirectional control",
            Self::Tag => "an invisible tag",
            Self::Annotation => "an annotation mark",
            Self::Noncharacter => "not a character",
        }
    }
}

/// Tells whether a reader sees nothing of this character, and comparing leaves it out: joiners,
/// soft hyphens, variation selectors, fillers.
#[must_use]
pub fn is_ignorable(character: char) -> bool {
    IGNORABLE.contains(character)
}

/// Tells whether a reader sees an empty place. The empty Braille pattern and the empty notehead are
/// not white space for Unicode.
#[must_use]
pub fn is_blank(character: char) -> bool {
    WHITE_SPACE.contains(character) || matches!(character, '\u{2800}' | '\u{1d159}')
}

/// Tells whether a reader sees something of this character.
#[must_use]
pub fn is_visible(character: char) -> bool {
    !is_blank(character) && !is_ignorable(character) && !character.is_control()
}

/// Tells whether this character is put on or under the letter before it, of whatever script.
#[must_use]
pub fn is_mark(character: char) -> bool {
    GeneralCategoryGroup::Mark.contains(CATEGORY.get(character))
}

/// Tells whether this character only says how its neighbours are shown (Unicode category Cf).
#[must_use]
pub fn is_format(character: char) -> bool {
    CATEGORY.get(character) == GeneralCategory::Format
}

/// Tells whether this mark accents its letter. Marks that spell are none: the vowels of Devanagari
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
