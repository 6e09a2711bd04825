// Where placements wait for their answers. A placement is kept before it is sent, so that a page that is closed in between
// finds its key again and places nothing twice.

/** A placement whose answer has not come. */
export interface Kept {
  key: string;
  meal_id: number;
  /** When it was made, in milliseconds since 1970. */
  at: number;
}

/** A place for placements. */
export interface Keeper {
  keep(kept: Kept): void;
  forget(key: string): void;
  all(): Kept[];
}

/** The most placements that a keeper holds; beyond, the oldest is forgotten. An outbox is full long before. */
const MAX_KEPT = 200;

/** Keeps as long as the program runs. */
export function memoryKeeper(): Keeper {
  const kept = new Map<string, Kept>();
  return {
    keep(one) {
      kept.set(one.key, one);
      const oldest = kept.keys().next().value;
      if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    },
    forget: (key) => void kept.delete(key),
    all: () => [...kept.values()],
  };
}

/** Keeps in `localStorage` or anything like it, under this name: one for each hero. */
export function storageKeeper(storage: Pick<Storage, "getItem" | "setItem" | "removeItem">, name: string): Keeper {
  const read = (): Kept[] => {
    try {
      const kept: unknown = JSON.parse(storage.getItem(name) ?? "[]");
      return Array.isArray(kept) ? kept.filter(isKept) : [];
    } catch {
      // Somebody else wrote there, or nobody may read.
      return [];
    }
  };
  const write = (kept: Kept[]) => {
    try {
      if (kept.length === 0) storage.removeItem(name);
      else storage.setItem(name, JSON.stringify(kept.slice(-MAX_KEPT)));
    } catch {
      // A full or forbidden storage must not keep anybody from ordering; the key then lives as long as the page.
    }
  };
  return {
    keep: (one) => write([...read().filter(({ key }) => key !== one.key), one]),
    forget: (key) => write(read().filter((kept) => kept.key !== key)),
    all: read,
  };
}

function isKept(value: unknown): value is Kept {
  const { key, meal_id, at } = (value ?? {}) as Partial<Kept>;
  return typeof key === "string" && typeof meal_id === "number" && typeof at === "number";
}

/** A key that nobody else has. Not `randomUUID`, which pages without TLS lack. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
