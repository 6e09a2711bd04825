// What can be managed: heroes and meals, each with its fields and its requests.

import type { Hero, Meal, NewHero, NewMeal } from "galley-client";
import { session } from "./session.svelte";

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

const tag = (version: number) => ({ "If-Match": `"${version}"` });

/** A page of the entries whose names contain this. */
export function list(kind: Kind, q: string, cursor?: string) {
  const query = { limit: 50, ...(q ? { q } : {}), ...(cursor ? { cursor } : {}) };
  return kind === "heroes" ? session.rest.GET("/heroes", { params: { query } }) : session.rest.GET("/meals", { params: { query } });
}

export function read(kind: Kind, id: number) {
  const params = { params: { path: { id } } };
  return kind === "heroes" ? session.rest.GET("/heroes/{id}", params) : session.rest.GET("/meals/{id}", params);
}

export function create(kind: Kind, draft: Draft) {
  return kind === "heroes"
    ? session.rest.POST("/heroes", { body: draft as unknown as NewHero })
    : session.rest.POST("/meals", { body: draft as unknown as NewMeal });
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
