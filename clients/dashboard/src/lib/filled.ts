import { i18n } from "../i18n/index.svelte";

/** A required field says so in the language of the page; the browser's own words are in that of the browser. */
export function filled(field: HTMLInputElement): () => void {
  const refuse = () => field.setCustomValidity(field.validity.valueMissing ? i18n.words.common.required : "");
  const forget = () => field.setCustomValidity("");
  field.addEventListener("invalid", refuse);
  field.addEventListener("input", forget);
  return () => {
    field.removeEventListener("invalid", refuse);
    field.removeEventListener("input", forget);
  };
}
