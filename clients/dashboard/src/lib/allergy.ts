/**
 * The form in which the service compares texts (`protocol/src/allergy.rs`): a test in the browser holds both against each other.
 * Going through upper case folds what has no single lower case: `ß` and `ẞ` are `ss`, and `ς` is `σ`. The dotless `ı` has an upper case
 * that is not its own.
 */
export function fold(text: string): string {
  const visible = text.normalize("NFKC").replace(/\p{Default_Ignorable_Code_Point}/gu, "");
  const caseless = visible.replace(/[^ı]+/gu, (part) => part.toLowerCase().toUpperCase().toLowerCase()).replaceAll("ς", "σ");
  const bare = caseless.normalize("NFD").replace(/\p{M}/gu, "").normalize("NFKC");
  return bare.split(/\s+/u).filter(Boolean).join(" ");
}

/** The ingredients that somebody with these allergies cannot eat. */
export function conflicts(ingredients: readonly string[], allergies: readonly string[]): string[] {
  const forbidden = new Set(allergies.map(fold));
  return ingredients.filter((ingredient) => forbidden.has(fold(ingredient)));
}
