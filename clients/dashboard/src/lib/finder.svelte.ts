// Asks the service for the orders that a search of the Kitchen means, beyond those that are loaded.

import type { Order, OrderView, Status } from "galley-client";
import { names } from "./names.svelte";
import { Reading } from "./reading.svelte";
import { answered, session, type Call } from "./session.svelte";
import { contains, type Word } from "./sought";

/** The most words that the service is asked for; the others only narrow what it finds. */
const MAX_WORDS = 3;
/** The most heroes, and the most meals, whose orders are read. */
const MAX_NAMED = 4;

interface Filter {
  limit: number;
  status: Status[];
}
interface Named {
  id: number;
  name: string;
}

export class Finder {
  /** For a component that is being made; ends with it. */
  readonly reading = new Reading();

  constructor(readonly learn: (orders: Order[]) => void) {}

  /** Reads the order of each number, and the newest orders of the heroes and meals whose names have these words. */
  find(words: readonly Word[], filter: Filter): void {
    const asked = words.slice(0, MAX_WORDS).filter(({ text, column, id }) => text !== "" && !(column && id !== undefined));
    if (asked.length === 0) return this.reading.stop();
    void this.reading.ask((wanted) => this.#ask(asked, filter, wanted), (orders) => this.learn(orders));
  }

  async #ask(words: readonly Word[], filter: Filter, wanted: () => boolean): Call<Order[]> {
    const kinds = (["hero", "meal"] as const).map(async (kind) => {
      const own = words.filter(({ column }) => column === undefined || column === kind);
      const lists = await Promise.all(own.map(({ text }) => named(kind, text)));
      const score = ({ name }: Named) => own.filter(({ text }) => contains(name, text)).length;
      const found = new Map(lists.flat().map((one) => [one.id, one]));
      const best = [...found.values()].sort((one, other) => score(other) - score(one)).slice(0, MAX_NAMED);
      return best.map(({ id }) => session.rest.GET("/orders", { params: { query: { ...filter, [`${kind}_id`]: id } } }));
    });
    const calls: Call<{ items: OrderView[] }>[] = (await Promise.all(kinds)).flat();
    const numbers = words.flatMap(({ id }) => (id === undefined ? [] : [session.rest.GET("/orders/{id}", { params: { path: { id } } })]));
    // An order that is not there is no failure of the search.
    const single = (await Promise.all(wanted() ? numbers.map(answered) : [])).flatMap(({ data }) => data ?? []);
    const pages = await Promise.all(calls);
    const failed = pages.find(({ response }) => !response.ok);
    if (failed) return { error: failed.error, response: failed.response };
    return { data: names.strip([...single, ...pages.flatMap(({ data }) => data?.items ?? [])]), response: new Response() };
  }
}

/** The heroes or the meals whose names have a word in them. */
async function named(kind: "hero" | "meal", q: string): Promise<Named[]> {
  const params = { params: { query: { q, limit: 20 } } };
  const call: Call<{ items: Named[] }> = kind === "hero" ? session.rest.GET("/heroes", params) : session.rest.GET("/meals", params);
  const { data } = await answered(call);
  names.learn(kind, data?.items ?? []);
  return data?.items ?? [];
}
