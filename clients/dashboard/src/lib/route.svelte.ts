// The address of what is shown, behind the `#`: `#/kitchen?status=PENDING&order=7`. Links and bookmarks keep filters.

// First: it takes the answer of an identity provider out of the address.
import "./landing";
import { edits } from "./edits.svelte";

export const views = ["order", "kitchen", "manage", "console", "operations"] as const;
export type View = (typeof views)[number];

class Route {
  #hash = $state(location.hash);
  readonly #parts = $derived(this.#hash.replace(/^#\/?/, "").split("?"));
  readonly view: View = $derived(views.find((view) => view === this.#parts[0]) ?? "order");
  readonly #query = $derived(new URLSearchParams(this.#parts[1] ?? ""));

  constructor() {
    addEventListener("hashchange", () => {
      const wanted = location.hash;
      if (wanted === this.#hash) return;
      // The address is of what is shown, until the view may be left.
      if (edits.unsaved) history.replaceState(null, "", this.#hash || "#");
      edits.leave(() => {
        history.replaceState(null, "", wanted);
        this.#hash = wanted;
      });
    });
  }

  get(name: string): string | undefined {
    return this.#query.get(name) || undefined;
  }

  /** A positive integer, or nothing. */
  id(name: string): number | undefined {
    const id = Number(this.get(name));
    return Number.isSafeInteger(id) && id > 0 ? id : undefined;
  }

  /**
   * Changes parameters in place, without a step in the history; `undefined` takes one away. Whatever is being edited has its kind and
   * its id there, so that another one waits until that may be left.
   */
  set(changes: Record<string, string | number | undefined>): void {
    const leaves = ["kind", "id"].some((name) => name in changes && String(changes[name] ?? "") !== (this.get(name) ?? ""));
    if (leaves) edits.leave(() => this.#set(changes));
    else this.#set(changes);
  }

  #set(changes: Record<string, string | number | undefined>): void {
    const query = new URLSearchParams(this.#query);
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined || value === "") query.delete(name);
      else query.set(name, String(value));
    }
    this.#replace(this.view, query);
  }

  go(view: View): void {
    location.hash = `#/${view}`;
  }

  #replace(view: View, query: URLSearchParams): void {
    const text = query.toString();
    history.replaceState(null, "", `#/${view}${text && `?${text}`}`);
    this.#hash = location.hash;
  }
}

export const route = new Route();
