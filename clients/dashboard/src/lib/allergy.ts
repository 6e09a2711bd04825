/** The form in which the service compares texts (`protocol/src/allergy.rs`): a test in the browser holds both against each other. */
export function fold(text: string): string {
  const bare = text.normalize("NFKC").toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").normalize("NFKC");
  return bare.split(/\s+/u).filter(Boolean).join(" ");
}

/** The ingredients that somebody with these allergies cannot eat. */
export function conflicts(ingredients: readonly string[], allergies: readonly string[]): string[] {
  const forbidden = new Set(allergies.map(fold));
  return ingredients.filter((ingredient) => forbidden.has(fold(ingredient)));
}
