// The words of a search in the Kitchen. An order matches if it contains every word; `hero:4` and `meal:soup` look at one column.

import type { Order } from "galley-client";
import { fold } from "./allergy";
import { names } from "./names.svelte";
import { messageOf } from "./problems";

export interface Word {
  column?: "hero" | "meal";
  text: string;
  /** The word as a number: that of an order, or of a hero or a meal if the word names that column. */
  id?: number;
}

/** The most words that count. */
const MAX_WORDS = 8;
/** The most texts whose folded form is kept. */
const MAX_FOLDED = 20_000;
const folded = new Map<string, string>();

export function readWords(typed: string): Word[] {
  const words = typed.split(/\s+/).filter(Boolean).slice(0, MAX_WORDS);
  return words.map((word) => {
    const [, column, rest = ""] = /^(?:(hero|meal):)?#?(.*)$/i.exec(word) ?? [];
    const id = /^[1-9]\d{0,14}$/.test(rest) ? Number(rest) : undefined;
    return { text: fold(rest), ...(column && { column: column.toLowerCase() as "hero" | "meal" }), ...(id && { id }) };
  });
}

/** Returns whether a text contains a word; case and accents do not matter. */
export function contains(text: string | undefined, word: string): boolean {
  if (!text) return false;
  let known = folded.get(text);
  if (known === undefined) {
    if (folded.size >= MAX_FOLDED) folded.clear();
    folded.set(text, (known = fold(text)));
  }
  return known.includes(word);
}

/** Returns whether an order contains every word. Names that have not been read yet do not count. */
export function has(order: Order, words: readonly Word[]): boolean {
  return words.every(({ column, text, id }) => {
    if (column && id !== undefined) return order[`${column}_id`] === id;
    if (column) return contains(names.peek(column, order[`${column}_id`]), text);
    if (order.id === id) return true;
    return [names.peek("hero", order.hero_id), names.peek("meal", order.meal_id), messageOf(order)].some((one) => contains(one, text));
  });
}
