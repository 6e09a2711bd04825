// Obeys the behaviour suite of all clients, `tests/clients`: lines of JSON in and out.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import WebSocket from "ws";
import { Galley, storageKeeper } from "galley-client";

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const tell = (event, more) => say({ event, at: Date.now(), ...more });

/** A `localStorage` in a file. */
const storage = (path) => ({
  getItem: () => (existsSync(path) ? readFileSync(path, "utf8") : null),
  setItem: (_, text) => writeFileSync(path, text),
  removeItem: () => rmSync(path, { force: true }),
});

let galley;

function open({ url, hero_id, tokens, store, max_waiting }) {
  galley = new Galley({
    url,
    webSocket: WebSocket,
    backoff: { base: 20, cap: 100 },
    ...(hero_id === undefined ? {} : { heroId: hero_id }),
    ...(tokens ? { token: () => (tokens.length > 1 ? tokens.shift() : tokens[0]) } : {}),
    ...(store ? { keeper: storageKeeper(storage(store), "orders") } : {}),
    ...(max_waiting ? { maxWaiting: max_waiting } : {}),
  });
  galley.on("state", ({ name, reason }) => tell("state", { name, cause: reason?.code }));
  galley.on("change", ({ orders, deleted }) => tell("change", { orders, deleted }));
  galley.on("received", (line) => tell("frame", { frame: JSON.parse(line) }));
  return galley.connect();
}

const commands = {
  ready: () => null,
  open,
  place: ({ meal_id }) => galley.place(meal_id),
  cancel: ({ order_id, reason }) => galley.cancel(order_id, reason),
  delete: ({ order_id }) => galley.delete(order_id),
  get: ({ order_id }) => galley.get(order_id),
  watch: () => galley.watch(),
  orders: () => galley.orders,
  close: () => galley.close(),
};

async function obey({ id, do: what, ...more }) {
  try {
    say({ id, ok: (await commands[what](more)) ?? null });
  } catch (error) {
    say({ id, error: error.code ?? String(error) });
  }
}

createInterface(process.stdin)
  .on("line", (line) => void obey(JSON.parse(line)))
  .on("close", () => galley?.close());
