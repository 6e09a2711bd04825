// Pages of lists. The service may end a page early, even without an entry, because a search looks at a bounded number of rows. A view
// wants whole pages, so this goes on until the page is full or the list ends.

import type { Call } from "./session.svelte";

/** A page; `next_cursor` is `null` on the last one. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** Reads a page from the cursor on. Stops early once nobody wants it any more. */
export async function wholePage<T>(
  limit: number,
  cursor: string | undefined,
  call: (cursor: string | undefined) => Call<Page<T>>,
  wanted: () => boolean = () => true,
): Call<Page<T>> {
  const items: T[] = [];
  for (;;) {
    const answer = await call(cursor);
    if (!answer.data) return answer;
    items.push(...answer.data.items);
    const { next_cursor } = answer.data;
    if (next_cursor === null || items.length >= limit || !wanted()) return { ...answer, data: { items, next_cursor } };
    cursor = next_cursor;
  }
}
