// The browser's storage for this page. Where the browser forbids it, values live as long as the page.

const PREFIX = "galley.";

type Shelf = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** Storage that never throws. Even to name `localStorage` throws where site data is blocked. */
class SafeStorage implements Shelf {
  /** What the browser did not take. One entry for each name that the page uses. */
  #own = new Map<string, string>();

  constructor(readonly find: () => Shelf) {}

  /** Whether what is stored outlives the page. */
  get keeps(): boolean {
    try {
      this.find();
      return true;
    } catch {
      return false;
    }
  }

  getItem(name: string): string | null {
    try {
      return this.#own.get(name) ?? this.find().getItem(name);
    } catch {
      return null;
    }
  }

  setItem(name: string, value: string): void {
    try {
      this.find().setItem(name, value);
      this.#own.delete(name);
    } catch {
      this.#own.set(name, value);
    }
  }

  removeItem(name: string): void {
    this.#own.delete(name);
    try {
      this.find().removeItem(name);
    } catch {
      // The browser keeps nothing, so there is nothing to remove.
    }
  }
}

/** Kept by the browser, for every tab. */
export const lasting = new SafeStorage(() => localStorage);
/** Kept by the browser, for this tab. */
export const ofTab = new SafeStorage(() => sessionStorage);

export function remembered(name: string): string | undefined {
  return lasting.getItem(PREFIX + name) ?? undefined;
}

export function remember(name: string, value: string | undefined): void {
  if (value === undefined) lasting.removeItem(PREFIX + name);
  else lasting.setItem(PREFIX + name, value);
}
