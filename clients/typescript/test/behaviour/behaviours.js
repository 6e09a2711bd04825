// What every runtime must do, with its own WebSocket, against a real gateway. The stage comes from `../stand.js`.

import { Galley } from "galley-client";
import { calls } from "./calls.js";
import { events } from "./events.js";
import { outages } from "./outages.js";

/** No behaviour takes so long. */
const LIMIT = 20_000;
/** A gateway that is away may be found again at once. */
const backoff = { base: 20, cap: 200 };

async function json(answer) {
  const { status } = await answer;
  if (status >= 400) throw new Error(`${(await answer).url}: ${status}`);
  return (await answer).json();
}

/** What one behaviour stands on: a hero of its own, and clients that end with it. */
async function stage(address) {
  const { gateway, guarded, proxied, closing, mealId } = await json(fetch(`${address}/stage`));
  const hero = { method: "POST", body: JSON.stringify({ name: "Zoé", planet: "Earth" }), headers: { "Content-Type": "application/json" } };
  const { id: heroId } = await json(fetch(`${gateway}/heroes`, hero));
  const clients = [];
  return {
    gateway, guarded, proxied, heroId, mealId,
    closing: (code) => `${closing}/${code}`,
    control: (what) => json(fetch(`${address}/${what}`, { method: "POST" })),
    token: (seconds) => json(fetch(`${address}/token?seconds=${seconds}`)),
    client(more = {}) {
      const options = { url: gateway, heroId, backoff, ...more };
      clients.push(Object.assign(new Galley(options), { heroId: options.heroId }));
      return clients.at(-1);
    },
    /** Resolves when the picture of this client satisfies the condition. */
    async until(client, satisfied) {
      while (!satisfied(client.orders)) await client.once("change", () => true, { timeout: 10_000 });
    },
    end: () => clients.forEach((client) => client.close()),
  };
}

/** Runs every behaviour, and tells how each ended. */
export async function perform(address, told) {
  for (const [name, behaviour] of Object.entries({ ...calls, ...events, ...outages })) {
    const began = performance.now();
    const set = await stage(address);
    let late;
    const limit = new Promise((_, reject) => (late = setTimeout(() => reject(new Error("it takes too long")), LIMIT)));
    const error = await Promise.race([behaviour(set), limit]).then(() => undefined, (error) => `${error?.stack ?? error}`);
    clearTimeout(late);
    set.end();
    told({ name, error, ms: Math.round(performance.now() - began) });
  }
}
