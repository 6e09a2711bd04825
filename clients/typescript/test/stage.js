// What the tests of the client stand on: a real service, and clients that end with the test.

import WebSocket from "ws";
import { Galley } from "galley-client";
import { endings } from "../../../tests/browser/endings.js";
import { start, stored } from "../../../tests/browser/galley.js";

/** A service with one hero and one meal. */
export async function kitchen(test, delay, ...options) {
  const atEnd = endings(test);
  const galley = await start("--no-seed", "--processing-delay", delay, ...options);
  atEnd(() => galley.stop());
  const hero = await galley.ask("POST", "/heroes", { name: "Zoé", planet: "Earth" });
  const meal = await galley.ask("POST", "/meals", { name: "Soup", price: 9.5, origin_planet: "Mars", ingredients: ["leek"] });
  const client = (more = {}) => {
    const made = new Galley({ url: galley.url, heroId: hero.id, webSocket: WebSocket, ...more });
    atEnd(async () => made.close());
    return made;
  };
  return { galley, hero, meal, client, stored: () => stored(galley) };
}

/** Resolves when the picture of this client satisfies the condition. */
export async function until(client, satisfied) {
  while (!satisfied(client.orders)) await client.once("change");
}
