// The menu as one hero sees it: read by the page, searched by the gateway however long it is, and kept up to date by `menu` frames.

import type { Frame, Galley, Meal } from "galley-client";
import { onDestroy } from "svelte";
import { fold } from "./allergy";
import { names } from "./names.svelte";
import { wholePage } from "./pages";
import { Reading } from "./reading.svelte";
import { answered, session } from "./session.svelte";

const PAGE = 100;
/** The most changed meals that are read one by one; beyond, the menu is read again. */
const FEW = 10;

export class Menu {
  /** Of the whole menu. */
  readonly reading = new Reading();
  /** Of the search. */
  readonly searching = new Reading();
  /** The part of the menu that has been read, from its beginning, and the cursor after it. */
  #meals = $state.raw<readonly Meal[] | undefined>();
  #next = $state.raw<string | null>(null);
  #search = $state("");
  /** The meals that the gateway has found, the cursor after them, and the text that they were searched for. */
  #found = $state.raw<readonly Meal[]>([]);
  #foundNext = $state.raw<string | null>(null);
  #answered = $state<string | undefined>();
  /** Whether single meals are being read. */
  #patching = false;
  /** Whether the menu changed while it was being read, so that it has to be read again. */
  #stale = false;

  /** The meals whose names or ingredients contain the search. The gateway searches the names of all meals, this page what it has read. */
  readonly shown: readonly Meal[] | undefined = $derived.by(() => {
    const wanted = fold(this.#search);
    if (this.#meals === undefined || !wanted) return this.#meals;
    const here = this.#meals.filter(({ name, ingredients }) => [name, ...ingredients].some((text) => fold(text).includes(wanted)));
    const isAnswered = this.#answered === this.#search;
    const all = [...new Map([...here, ...(isAnswered ? this.#found : [])].map((meal) => [meal.id, meal])).values()];
    return all.length === 0 && !isAnswered && !this.searching.problem ? undefined : all;
  });
  /** Whether there is more to show. */
  readonly more: boolean = $derived((this.#search ? this.#foundNext : this.#next) !== null);
  /** Whether ingredients are searched in a part of the menu only. */
  readonly partial: boolean = $derived(this.#search !== "" && this.#next !== null);
  readonly empty: boolean = $derived(this.#meals?.length === 0);

  /** For a component that is being made; ends with it. */
  constructor(client: Galley) {
    this.#read();
    client.on("menu", (frame) => void this.#follow(frame));
    // No frame tells what changed before the connection was there.
    onDestroy(session.onBack(() => this.#refresh()));
  }

  get search(): string {
    return this.#search;
  }

  set search(text: string) {
    this.#search = text;
    this.searching.stop();
    this.searching.problem = undefined;
    if (fold(text)) this.#find();
  }

  showMore(): void {
    if (this.#search) this.#find(this.#foundNext ?? undefined);
    else if (this.reading.problem) this.reading.retry();
    else if (!this.reading.loading) this.#read(this.#next ?? undefined);
  }

  /** Reads on from the cursor; without one it reads again as much as is there. */
  #read(cursor?: string): void {
    const length = cursor === undefined ? (this.#meals?.length ?? 0) : 0;
    void this.reading.ask((wanted) => page(length, cursor, "", wanted), ({ items, next_cursor }) => {
      names.learn("meal", items);
      this.#meals = cursor === undefined ? items : [...(this.#meals ?? []), ...items];
      this.#next = next_cursor;
      if (this.#stale) this.#refresh();
    });
  }

  #find(cursor?: string): void {
    const q = this.#search;
    const length = cursor === undefined && this.#answered === q ? this.#found.length : 0;
    void this.searching.ask((wanted) => page(length, cursor, q, wanted), ({ items, next_cursor }) => {
      names.learn("meal", items);
      this.#found = cursor === undefined ? items : [...this.#found, ...items];
      this.#foundNext = next_cursor;
      this.#answered = q;
    });
  }

  #refresh(): void {
    this.#stale = false;
    this.#read();
    if (fold(this.#search)) this.#find();
  }

  /** Reads the meals that were changed. What changes meanwhile is read again afterwards. */
  async #follow({ changed, deleted, all }: Frame<"menu">): Promise<void> {
    if (this.#patching || this.reading.loading) {
      this.#stale = true;
      return;
    }
    if (all || changed.length > FEW || this.#meals === undefined) return this.#refresh();
    this.#patching = true;
    const answers = await Promise.all(changed.map((id) => answered(session.rest.GET("/meals/{id}", { params: { path: { id } } }))));
    this.#patching = false;
    const failed = answers.some(({ problem }) => problem && problem.status !== 404);
    if (failed || this.#stale || this.reading.loading) return this.#refresh();
    const fresh = answers.flatMap(({ data }) => data ?? []);
    const gone = [...deleted, ...changed.filter((_, index) => answers[index]?.problem)];
    names.learn("meal", fresh);
    const known = new Set(this.#meals.map(({ id }) => id));
    // The newest meals are at the end: that is shown once all of the menu is.
    const added = this.#next === null ? fresh.filter(({ id }) => !known.has(id)) : [];
    this.#meals = [...patched(this.#meals, fresh, gone), ...added];
    this.#found = patched(this.#found, fresh, gone);
    if (this.partial && changed.some((id) => !known.has(id))) this.#find();
  }
}

/** A page of the menu, or as many meals as this if that is more. */
function page(length: number, cursor: string | undefined, q: string, wanted: () => boolean) {
  const filter = { limit: PAGE, ...(q ? { q } : {}) };
  const get = (cursor: string | undefined) => session.rest.GET("/meals", { params: { query: { ...filter, ...(cursor ? { cursor } : {}) } } });
  return wholePage<Meal>(Math.max(PAGE, length), cursor, get, wanted);
}

function patched(meals: readonly Meal[], fresh: readonly Meal[], gone: readonly number[]): Meal[] {
  const newest = new Map(fresh.map((meal) => [meal.id, meal]));
  return meals.filter(({ id }) => !gone.includes(id)).map((meal) => newest.get(meal.id) ?? meal);
}
