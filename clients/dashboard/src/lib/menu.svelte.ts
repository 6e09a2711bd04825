// The menu as one hero sees it: read by the page, searched by the service however long it is, and read again from time to time.

import type { Meal } from "galley-client";
import { fold } from "./allergy";
import { names } from "./names.svelte";
import { wholePage } from "./pages";
import { Reading } from "./reading.svelte";
import { regularly } from "./regularly";
import { answered, session } from "./session.svelte";

const PAGE = 100;

/** Where a page begins, what it holds, and where the next one begins. */
interface Part {
  cursor: string | undefined;
  items: Meal[];
  next: string | null;
}

export class Menu {
  /** Of the whole menu. */
  readonly reading = new Reading();
  /** Of what is searched for. */
  readonly searching = new Reading();
  #parts = $state.raw<readonly Part[]>([]);
  #found = $state.raw<readonly Part[]>([]);
  #search = $state("");
  /** What `#found` was searched for; nothing as long as no answer came. */
  #answered = $state<string | undefined>();
  #turn = 0;

  readonly #meals = $derived(this.#parts.flatMap(({ items }) => items));
  /** Meals whose names or ingredients contain what is searched for. The service looks at the names of all, this page at what it has. */
  readonly shown: readonly Meal[] | undefined = $derived.by(() => {
    if (this.#parts.length === 0) return undefined;
    const wanted = fold(this.#search);
    if (!wanted) return unique(this.#meals);
    const here = this.#meals.filter(({ name, ingredients }) => [name, ...ingredients].some((text) => fold(text).includes(wanted)));
    const found = this.#answered === this.#search ? this.#found.flatMap(({ items }) => items) : [];
    if (here.length + found.length === 0 && this.#answered !== this.#search && !this.searching.problem) return undefined;
    return unique([...here, ...found]);
  });
  /** Whether there is more to show. */
  readonly more: boolean = $derived(this.#search ? next(this.#found) !== null : next(this.#parts) !== null);
  /** Whether ingredients are searched in a part of the menu only. */
  readonly partial: boolean = $derived(this.#search !== "" && next(this.#parts) !== null);
  readonly empty: boolean = $derived(this.#parts.length > 0 && this.#meals.length === 0);

  constructor() {
    this.#read(undefined, false);
    regularly(() => this.#refresh());
  }

  get search(): string {
    return this.#search;
  }

  set search(text: string) {
    this.#search = text;
    this.searching.stop();
    this.searching.problem = undefined;
    if (fold(text)) this.#find(undefined);
  }

  showMore(): void {
    if (this.#search) this.#find(next(this.#found) ?? undefined);
    else this.#read(next(this.#parts) ?? undefined, true);
  }

  #read(cursor: string | undefined, add: boolean): void {
    void this.reading.ask((wanted) => page(cursor, "", wanted), (data) => {
      const part = partOf(cursor, data);
      this.#parts = add ? [...this.#parts, part] : [part];
    });
  }

  #find(cursor: string | undefined): void {
    const q = this.#search;
    void this.searching.ask((wanted) => page(cursor, q, wanted), (data) => {
      const part = partOf(cursor, data);
      this.#found = cursor === undefined ? [part] : [...this.#found, part];
      this.#answered = q;
    });
  }

  /** One page at a time, in turns, so that a long menu costs no more than a short one. */
  async #refresh(): Promise<void> {
    const search = this.#search;
    const parts = search && this.#answered === search ? [...this.#parts, ...this.#found] : this.#parts;
    const part = parts[this.#turn++ % Math.max(1, parts.length)];
    if (!part) return;
    const found = this.#found.includes(part);
    const { data } = await answered(page(part.cursor, found ? search : ""));
    if (!data || (found && search !== this.#search)) return;
    const fresh = partOf(part.cursor, data);
    if (same(part, fresh)) return;
    const swap = (parts: readonly Part[]) => parts.map((one) => (one === part ? fresh : one));
    [this.#parts, this.#found] = [swap(this.#parts), swap(this.#found)];
  }
}

function page(cursor: string | undefined, q: string, wanted?: () => boolean) {
  const filter = { limit: PAGE, ...(q ? { q } : {}) };
  const get = (cursor: string | undefined) => session.rest.GET("/meals", { params: { query: { ...filter, ...(cursor ? { cursor } : {}) } } });
  return wholePage<Meal>(PAGE, cursor, get, wanted);
}

function partOf(cursor: string | undefined, { items, next_cursor }: { items: Meal[]; next_cursor: string | null }): Part {
  names.learn("meal", items);
  return { cursor, items, next: next_cursor };
}

const next = (parts: readonly Part[]): string | null => parts.at(-1)?.next ?? null;
const unique = (meals: readonly Meal[]): Meal[] => [...new Map(meals.map((meal) => [meal.id, meal])).values()];
const marks = ({ items, next }: Part): string => [...items.map(({ id, version }) => `${id}.${version}`), next].join();
const same = (one: Part, other: Part): boolean => marks(one) === marks(other);
