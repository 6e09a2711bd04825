// What can be managed: heroes and meals, each with its fields and its requests.

import { newKey, type Hero, type Meal, type NewHero, type NewMeal } from "galley-client";
import { wholePage, type Page } from "./pages";
import { session, type Call } from "./session.svelte";

export type Kind = "heroes" | "meals";
export type Entry = Hero | Meal;
/** The fields of an entry as they are being edited. */
export type Draft = Record<string, string | number | string[] | null>;

interface Field {
  name: string;
  /** The word for it under `manage`. */
  label: "name" | "planet" | "allergies" | "ingredients" | "price" | "originPlanet" | "description";
  type: "text" | "list" | "price" | "long";
}

export const fields: Record<Kind, Field[]> = {
  heroes: [
    { name: "name", label: "name", type: "text" },
    { name: "planet", label: "planet", type: "text" },
    { name: "allergies", label: "allergies", type: "list" },
  ],
  meals: [
    { name: "name", label: "name", type: "text" },
    { name: "price", label: "price", type: "price" },
    { name: "origin_planet", label: "originPlanet", type: "text" },
    { name: "ingredients", label: "ingredients", type: "list" },
    { name: "description", label: "description", type: "long" },
  ],
};

/** The fields of an entry, or of a new one. */
export function draftOf(kind: Kind, entry?: Entry): Draft {
  const empty = { text: "", list: [], price: null, long: "" };
  return Object.fromEntries(fields[kind].map(({ name, type }) => [name, entry ? (entry as unknown as Draft)[name] : empty[type]])) as Draft;
}

/** A key for each content: what is sent again unchanged is the same request. */
export class Keys {
  #content = "";
  #key = newKey();

  of(draft: Draft): string {
    const content = JSON.stringify(draft);
    if (content !== this.#content) this.#key = newKey();
    this.#content = content;
    return this.#key;
  }

  /** The request was answered: the next one is another. */
  used(): void {
    this.#content = "";
  }
}

/** Whether two drafts say the same. */
export const sameDraft = (one: Draft, other: Draft): boolean => JSON.stringify(one) === JSON.stringify(other);

const tag = (version: number) => ({ "If-Match": `"${version}"` });

/** A page of the entries whose names contain this. */
export function list(kind: Kind, q: string, cursor?: string, wanted?: () => boolean) {
  const filter = { limit: 50, ...(q ? { q } : {}) };
  const get = (cursor: string | undefined): Call<Page<Entry>> => {
    const query = { ...filter, ...(cursor ? { cursor } : {}) };
    return kind === "heroes" ? session.rest.GET("/heroes", { params: { query } }) : session.rest.GET("/meals", { params: { query } });
  };
  return wholePage(filter.limit, cursor, get, wanted);
}

export function read(kind: Kind, id: number) {
  const params = { params: { path: { id } } };
  return kind === "heroes" ? session.rest.GET("/heroes/{id}", params) : session.rest.GET("/meals/{id}", params);
}

/** Creates an entry; the same key again is the same entry, should the answer have been lost. */
export function create(kind: Kind, draft: Draft, key: string) {
  const headers = { "Idempotency-Key": key };
  return kind === "heroes"
    ? session.rest.POST("/heroes", { body: draft as unknown as NewHero, headers })
    : session.rest.POST("/meals", { body: draft as unknown as NewMeal, headers });
}

/** Changes an entry, unless somebody else has changed this version meanwhile. */
export function replace(kind: Kind, id: number, version: number, draft: Draft) {
  const params = { path: { id }, header: tag(version) };
  return kind === "heroes"
    ? session.rest.PUT("/heroes/{id}", { params, body: draft as unknown as NewHero })
    : session.rest.PUT("/meals/{id}", { params, body: draft as unknown as NewMeal });
}

export function remove(kind: Kind, id: number) {
  const params = { params: { path: { id } } };
  return kind === "heroes" ? session.rest.DELETE("/heroes/{id}", params) : session.rest.DELETE("/meals/{id}", params);
}
