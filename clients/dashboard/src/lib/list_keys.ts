/**
 * Returns the row of a list to which a key leads from row `at`; undefined if the key is another one. The list has `count` rows, of which
 * as many fit as `height` holds rows of `row` pixels.
 */
export function rowOf(key: string, at: number, count: number, height: number, row: number): number | undefined {
  const page = Math.max(1, Math.floor(height / row) - 1);
  const rows: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: count - 1,
  };
  const found = rows[key];
  return found === undefined ? undefined : Math.min(count - 1, Math.max(0, found));
}
