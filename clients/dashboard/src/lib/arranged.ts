// The orders of the Kitchen in an order that somebody chose, and those among them that are late.

import type { Order } from "galley-client";
import { names } from "./names.svelte";
import { messageOf } from "./problems";
import { statuses, took } from "./statuses";

export const columns = ["id", "status", "hero", "meal", "time", "took", "message"] as const;
export type Column = (typeof columns)[number];

export interface Sorting {
  column: Column;
  descending: boolean;
}

/** The newest order first. */
export const NEWEST: Sorting = { column: "id", descending: true };

/** The sorting in a text like `hero` or `-took`. */
export function readSorting(text: string | undefined): Sorting {
  const column = columns.find((column) => column === text?.replace(/^-/, ""));
  return column ? { column, descending: text?.startsWith("-") ?? false } : NEWEST;
}

/** The text of the sorting that a press on a head leads to: up, down, and back to the newest first. */
export function nextSorting({ column, descending }: Sorting, pressed: Column): string | undefined {
  if (pressed !== column) return pressed;
  if (!descending) return pressed === "id" ? undefined : `-${pressed}`;
  return pressed === "id" ? "id" : undefined;
}

/** After so many milliseconds in one status an order that is not ended is late. */
export const LATE = 10_000;

export function isLate({ status, order_time, started_time }: Order, now: number): boolean {
  if (status === "PENDING") return now - Date.parse(order_time) > LATE;
  return status === "IN_PROGRESS" && now - Date.parse(started_time ?? order_time) > LATE;
}

/** The orders sorted; among equals the newest first. They come so. */
export function arranged(orders: readonly Order[], { column, descending }: Sorting, now: number): readonly Order[] {
  if (column === "id") return descending ? orders : orders.toReversed();
  const key = keyOf(column, now);
  let keys = orders.map(key);
  // Few texts are different, so that only those are compared by the rules of the language.
  if (typeof keys[0] === "string") {
    const { compare } = new Intl.Collator(document.documentElement.lang, { numeric: true });
    const ranks = new Map([...new Set(keys as string[])].sort(compare).map((text, rank) => [text, rank]));
    keys = keys.map((text) => ranks.get(text as string) ?? 0);
  }
  const sign = descending ? -1 : 1;
  const places = orders.map((_, place) => place);
  places.sort((one, other) => sign * ((keys[one] as number) - (keys[other] as number)) || one - other);
  return places.flatMap((place) => orders[place] ?? []);
}

function keyOf(column: Exclude<Column, "id">, now: number): (order: Order) => number | string {
  switch (column) {
    case "status":
      return ({ status }) => statuses.indexOf(status);
    case "time":
      return ({ order_time }) => Date.parse(order_time);
    case "took":
      return (order) => took(order, now);
    case "message":
      return messageOf;
    default:
      return (order) => names.peek(column, order[`${column}_id`]) ?? "";
  }
}
