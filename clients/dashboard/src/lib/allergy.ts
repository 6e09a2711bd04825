/** Nobody sees these: joiners, soft hyphens, variation selectors, fillers. */
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;
/** Empty places; the empty Braille pattern and the empty notehead are no white space for Unicode. */
const BLANK = /[\p{White_Space}\u2800\u{1D159}]+/gu;
/** Marks that accent a letter. Marks that spell are none: the vowels of Devanagari or Thai, the voicing of kana. */
const DIACRITIC =
  /(?=\p{M})[^\u3099\u309A](?<=[\p{Script=Inherited}\p{Script=Common}\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}])/gu;

/**
 * The form in which the service compares texts (`protocol/src/allergy.rs`), step by step the same: a test holds both against each other
 * with the vectors of `protocol/src/allergy.json`.
 */
export function fold(text: string): string {
  const seen = text.replace(IGNORABLE, "").replace(BLANK, " ");
  const once = foldCase(seen.normalize("NFKD")).normalize("NFKD");
  const caseless = foldCase(once).normalize("NFKD");
  const bare = caseless.replace(DIACRITIC, "");
  // A text of nothing but accents is about them.
  return (bare.trim() === "" ? caseless : bare).normalize("NFC").replace(BLANK, " ").trim();
}

/**
 * Full case folding, which JavaScript lacks. By way of upper case `ß` and `ẞ` become `ss`; the dotless `ı` would become `i`, and stays.
 * A `σ` has another form at the end of a word.
 */
function foldCase(text: string): string {
  return text.replace(/[^ı]+/gu, (part) => part.toLowerCase().toUpperCase().toLowerCase()).replaceAll("ς", "σ");
}

/** The ingredients that somebody with these allergies cannot eat. */
export function conflicts(ingredients: readonly string[], allergies: readonly string[]): string[] {
  const forbidden = new Set(allergies.map(fold));
  return ingredients.filter((ingredient) => forbidden.has(fold(ingredient)));
}
