// The orders that are shown, as a file for a spreadsheet or a program. Nothing is asked for: names that nobody has read yet are left out.

import type { Order } from "galley-client";
import { names } from "./names.svelte";

const COLUMNS = ["id", "status", "hero_id", "hero", "meal_id", "meal", "order_time", "started_time", "completed_time", "reason", "message", "version"] as const;

function named(order: Order): Record<(typeof COLUMNS)[number], string | number | null> {
  return { ...order, hero: names.peek("hero", order.hero_id) ?? null, meal: names.peek("meal", order.meal_id) ?? null };
}

/** A cell of RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe. */
function cell(value: string | number | null): string {
  const text = String(value ?? "").replace(/^[=+\-@\t\r\n]/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** In UTF-8 with a byte order mark, without which spreadsheets guess the encoding. */
export function toCsv(orders: readonly Order[]): string {
  const lines = orders.map((order) => {
    const row = named(order);
    return COLUMNS.map((column) => cell(row[column])).join(",");
  });
  return `\uFEFF${[COLUMNS.join(","), ...lines].join("\r\n")}\r\n`;
}

export const toJson = (orders: readonly Order[]): string => `${JSON.stringify(orders.map(named), undefined, 2)}\n`;

/** Hands a file to the browser, made in the page. */
export function download(name: string, type: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  // The browser has it by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
