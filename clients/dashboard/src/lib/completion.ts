// The offers of the command line: the words that the gateway's help names, frames, and the ids that may follow.

import type { Frame } from "./frames";
import type { CommandForm } from "./wire_document.svelte";

export interface Suggestion {
  /** The whole line, once this is taken. */
  line: string;
  shown: string;
  note: string;
}

/** An id that a command may name. */
export interface Named {
  id: number;
  name: string;
}

/** What a command wants to know next. */
export type Wanted = "meal" | "order";

const MAX = 8;

/** The words of a help, such as `type: menu | order <meal>`, with what follows each. */
export function wordsOf(help: string): [word: string, argument: string][] {
  const parts = help.replace(/^[^:]*:/, "").split("|");
  return parts.flatMap((part) => {
    const [, word, argument = ""] = /^\s*(\w+)\s*(.*?)\s*$/.exec(part) ?? [];
    return word ? [[word, argument]] : [];
  });
}

/** The id that this line asks for at its end, and what is typed of it. */
export function wantedOf(line: string, help: string): { wanted: Wanted; before: string; typed: string; after: string } | undefined {
  const [, inFrame, field, digits] = /^(\s*\{.*"(meal|order)_id"\s*:\s*)(\d*)$/s.exec(line) ?? [];
  if (inFrame) return { wanted: field as Wanted, before: inFrame, typed: digits ?? "", after: "}" };
  const [, before = "", word = "", typed = ""] = /^(\s*(\w+)\s+)(.*)$/s.exec(line) ?? [];
  const argument = wordsOf(help).find(([name]) => name === word.toLowerCase())?.[1] ?? "";
  const wanted = /^<(meal|order)>/.exec(argument)?.[1] as Wanted | undefined;
  // After the order comes its reason, in words of people.
  return wanted && !/^\d+\s/.test(typed) ? { wanted, before, typed: typed.trim(), after: "" } : undefined;
}

/** The commands that this line may become. */
export function commandsFor(line: string, help: string, forms: readonly CommandForm[]): Suggestion[] {
  const typed = line.trim().toLowerCase();
  const words = wordsOf(help).map(([word, argument]) => ({ line: argument.startsWith("<") ? `${word} ` : word, shown: `${word} ${argument}`.trim(), note: "" }));
  const frames = forms.map(({ name, about, fields }) => {
    const first = fields.find(({ required }) => required);
    const text = `{"type":"${name}"${first ? `,"${first.name}":` : "}"}`;
    return { line: text, shown: text, note: about };
  });
  const all = typed === "" ? [...words, ...frames] : typed.startsWith("{") ? frames : words;
  const found = all.filter(({ line: offered }) => offered.toLowerCase().startsWith(typed.replace(/^\{\s*/, "{")) && offered.trim() !== line.trim());
  return typed === "" ? found : found.slice(0, MAX);
}

/** The ids that this line may go on with: by number, or by a part of the name. */
export function idsFor(line: string, help: string, known: readonly Named[], fold: (text: string) => string): Suggestion[] {
  const place = wantedOf(line, help);
  if (!place) return [];
  const { before, typed, after } = place;
  const fits = ({ id, name }: Named) => (/^\d+$/.test(typed) ? String(id).startsWith(typed) && String(id) !== typed : fold(name).includes(fold(typed)));
  return known.filter(fits).slice(0, MAX).map(({ id, name }) => ({ line: `${before}${id}${after}`, shown: String(id), note: name }));
}

const ORDER = /"id":(\d+),"hero_id":\d+,"meal_id":(\d+),"status":"(\w+)"/g;
/** How far back orders are looked for, in frames, and how far into each. */
const MAX_FRAMES = 300;
const MAX_LENGTH = 20_000;

/** The orders that the newest frames tell of, the newest first. */
export function ordersIn(frames: readonly Frame[]): { id: number; meal_id: number; status: string }[] {
  const found = new Map<number, { id: number; meal_id: number; status: string }>();
  for (const { text } of frames.slice(-MAX_FRAMES).reverse()) {
    for (const [, id, meal_id, status = ""] of text.slice(0, MAX_LENGTH).matchAll(ORDER)) {
      if (!found.has(Number(id))) found.set(Number(id), { id: Number(id), meal_id: Number(meal_id), status });
    }
    if (found.size >= 100) break;
  }
  return [...found.values()].sort((one, other) => other.id - one.id);
}
