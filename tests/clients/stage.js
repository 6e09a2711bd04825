// What a scenario stands on; everything ends with it.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endings } from "../browser/endings.js";
import { start, stored } from "../browser/galley.js";
import { driver } from "./drivers.js";
import { authority, network } from "./network.js";

/** The stage of one scenario with one client. */
export function stage(test, language) {
  const atEnd = endings(test);

  function program(options) {
    const made = driver(language, options);
    atEnd(() => made.end());
    return made;
  }

  return {
    /** A program whose client is not there yet. */
    program,

    /** A gateway with one hero and one meal; orders take this long. */
    async kitchen(delay, ...options) {
      const galley = await start("--no-seed", "--processing-delay", delay, ...options);
      atEnd(() => galley.stop());
      const hero = await galley.ask("POST", "/heroes", { name: "Zoé", planet: "Earth" });
      const meal = await galley.ask("POST", "/meals", { name: "Soup", price: 9.5, origin_planet: "Mars", ingredients: ["leek"] });
      return { galley, hero, meal, stored: () => stored(galley) };
    },

    /** A gateway with the demo data that asks for tokens. */
    async guardedKitchen(...options) {
      const galley = await start("--processing-delay", "0s", ...options);
      atEnd(() => galley.stop());
      return galley;
    },

    /** A network to this address. */
    async network(url, secured) {
      const made = await network(url, secured);
      atEnd(() => made.close());
      return made;
    },

    /** A certificate authority. */
    async authority() {
      const made = await authority();
      atEnd(() => made.remove());
      return made;
    },

    /** A path where a program may store something. */
    async shelf() {
      const folder = await mkdtemp(join(tmpdir(), "galley-shelf-"));
      atEnd(() => rm(folder, { recursive: true }));
      return join(folder, "orders.json");
    },

    /** A program with a client that is connected. */
    async client(url, more = {}) {
      const made = program(more);
      await made.ask("open", { url, hero_id: 1, ...more });
      return made;
    },
  };
}

/** Whether there are so many orders, and all have this status. */
export const all = (count, status) => (orders) => orders.length === count && orders.every((order) => order.status === status);

/** The states that a client was told, one entry for each time. */
export function told(events) {
  const changes = events.filter(({ event }) => event === "change");
  return changes.flatMap(({ orders, deleted }) => [...orders.map(({ id, version }) => `${id} v${version}`), ...deleted.map((id) => `${id} gone`)]);
}
