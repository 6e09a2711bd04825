// What became of orders that were active when the connection was lost.

import type { Rest } from "./rest.js";
import type { Order } from "./types.js";

const PAGE = 100;

/**
 * Reads orders, the newest first, by the page, until each of these ids has been found or passed by: those are gone. Gives up after as many
 * pages as there are ids, or when REST does not answer, and resolves with the ids that are left: one by one they are not dearer.
 */
export async function reread(
  rest: Rest,
  heroId: number | undefined,
  ids: Iterable<number>,
  settle: (found: Order[], gone: number[]) => void,
): Promise<number[]> {
  const left = new Set(ids);
  let cursor: string | null | undefined;
  for (let pages = left.size; pages > 0 && left.size > 0; pages--) {
    const query = { limit: PAGE, ...(heroId === undefined ? {} : { hero_id: heroId }), ...(cursor ? { cursor } : {}) };
    const page = (await rest.GET("/orders", { params: { query } }).catch(() => undefined))?.data;
    if (!page) break;
    const found = page.items.map(({ hero: _hero, meal: _meal, ...order }) => order);
    cursor = page.next_cursor;
    // A page may end early, even without an entry: then none has been passed.
    const last = cursor === null ? 0 : (found.at(-1)?.id ?? Infinity);
    const present = new Set(found.map(({ id }) => id));
    const passed = [...left].filter((id) => id >= last);
    for (const id of passed) left.delete(id);
    settle(found, passed.filter((id) => !present.has(id)));
  }
  return [...left];
}
