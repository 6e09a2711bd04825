// The names behind the ids that frames carry, read when they are first shown.

import type { Order, OrderView } from "galley-client";
import { passing } from "./problems";
import { answered, session } from "./session.svelte";

/** The most names that are remembered; beyond, all are forgotten and those that are shown are read again. */
const MAX = 20_000;
/** The most questions under way; the others wait. */
const MAX_ASKING = 4;

class Names {
  #known = new Map<string, string>();
  /** Grows when a name becomes known or another. Those that are drawn are few, so that each may look again. */
  #version = $state(0);
  #asked = new Set<string>();
  #waiting: [kind: "hero" | "meal", id: number][] = [];
  #asking = 0;
  /** Questions that nobody answered, for when the connection is back. */
  #failed: [kind: "hero" | "meal", id: number][] = [];

  constructor() {
    session.onBack(() => {
      this.#waiting.push(...this.#failed.splice(0));
      void this.#ask();
    });
  }

  /** The name, or nothing as long as it is not known. */
  hero = (id: number): string | undefined => this.#get("hero", id);
  meal = (id: number): string | undefined => this.#get("meal", id);

  /** Grows when a name becomes known or another. */
  get version(): number {
    return this.#version;
  }

  /** The name, if it is known; nobody is asked, and nothing is followed but `version`. */
  peek = (kind: "hero" | "meal", id: number): string | undefined => this.#known.get(`${kind} ${id}`);

  learn(kind: "hero" | "meal", items: readonly { id: number; name: string }[]): void {
    if (this.#known.size > MAX) {
      this.#known.clear();
      this.#asked.clear();
      this.#failed = [];
    }
    let changed = false;
    for (const { id, name } of items) {
      const key = `${kind} ${id}`;
      changed ||= this.#known.get(key) !== name;
      this.#known.set(key, name);
    }
    if (changed) this.#version += 1;
  }

  /** Orders as REST reads them bring the names along, those of heroes and meals that are gone too. The orders without them. */
  strip(views: readonly OrderView[]): Order[] {
    this.learn("hero", views.map(({ hero }) => hero));
    this.learn("meal", views.map(({ meal }) => meal));
    return views.map(({ hero: _hero, meal: _meal, ...order }) => order);
  }

  #get(kind: "hero" | "meal", id: number): string | undefined {
    void this.#version;
    const key = `${kind} ${id}`;
    const known = this.#known.get(key);
    if (known === undefined && !this.#asked.has(key)) {
      this.#asked.add(key);
      this.#waiting.push([kind, id]);
      queueMicrotask(() => void this.#ask());
    }
    return known;
  }

  async #ask(): Promise<void> {
    if (this.#asking >= MAX_ASKING) return;
    // The newest question first: it is about what is on the screen.
    const next = this.#waiting.pop();
    if (!next) return;
    const [kind, id] = next;
    this.#asking += 1;
    const params = { params: { path: { id } } };
    const call = kind === "hero" ? session.rest.GET("/heroes/{id}", params) : session.rest.GET("/meals/{id}", params);
    const { data, problem } = await answered<{ id: number; name: string }>(call);
    this.#asking -= 1;
    if (data) this.learn(kind, [data]);
    // A name is asked for once at a time, so that this list is bounded as the names are.
    else if (passing(problem)) this.#failed.push(next);
    void this.#ask();
  }
}

export const names = new Names();
