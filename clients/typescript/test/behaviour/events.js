// Listeners and iterators.

import { fails, ok, same } from "./assert.js";

export const events = {
  async "a listener that throws stops nobody"({ client, mealId, until }) {
    const galley = client();
    const faults = [];
    galley.on("fault", (fault) => faults.push(fault.message));
    const stop = galley.on("fault", () => {
      stop();
      throw new Error("even here");
    });
    const seen = [];
    for (const name of ["state", "change", "reply", "pending", "sent", "received"]) {
      galley.on(name, () => null.nothing);
      galley.on(name, async () => Promise.reject(new Error("later")));
      galley.on(name, () => seen.push(name));
    }
    await galley.connect();
    await galley.place(mealId);
    await until(galley, ([first]) => first?.status === "COMPLETED");
    for (const name of ["state", "change", "reply", "pending", "sent", "received"]) {
      ok(seen.includes(name), `${name} was heard`);
      ok(faults.filter((fault) => fault.startsWith(`a listener to "${name}" threw`)).length >= 2, `${name} threw, at once and later`);
    }
    const asked = galley.once("pong", () => null.nothing);
    await galley.ping();
    await fails(() => asked, undefined);
  },

  async "a keeper that throws keeps nobody from ordering"({ client, mealId }) {
    const keeper = Object.fromEntries(["keep", "forget", "all"].map((name) => [name, () => null.nothing]));
    const galley = client({ keeper });
    const faults = [];
    galley.on("fault", ({ code }) => faults.push(code));
    await galley.connect();
    same((await galley.place(mealId)).status, "PENDING");
    same(faults, ["callback", "callback", "callback"]);
  },

  async "a listener that closes the client ends it"({ client }) {
    const galley = client();
    galley.on("state", ({ name }) => name === "connecting" && galley.close());
    await fails(() => galley.connect(), "closed");
    same(galley.state.name, "closed");
  },

  async "changes come one by one until the client is closed"({ client, mealId }) {
    const galley = client();
    await galley.connect();
    const seen = [];
    const changes = galley.changes({ timeout: 10_000 });
    const order = await galley.place(mealId);
    for await (const { orders } of changes) {
      for (const { id, status } of orders) if (id === order.id) seen.push(status);
      if (seen.at(-1) === "COMPLETED") break;
    }
    same(seen, ["PENDING", "IN_PROGRESS", "COMPLETED"]);
    same(await changes.next(), { done: true }, "break ends it:");
    const open = galley.each("state");
    setTimeout(() => galley.close());
    const names = [];
    for await (const { name } of open) names.push(name);
    same(names, ["closed"]);
  },

  async "at its bound a buffer drops the oldest, and counts"({ client }) {
    const galley = client();
    await galley.connect();
    const lines = galley.each("sent", { buffer: 2 });
    for (const line of ["1", "2", "3", "4", "5"]) ok(galley.sendLine(line), "it is sent");
    same([(await lines.next()).value, (await lines.next()).value, lines.missed], ["4", "5", 3]);
    const waiting = [lines.next(), lines.next()];
    galley.sendLine("6");
    galley.sendLine("7");
    same((await Promise.all(waiting)).map(({ value }) => value), ["6", "7"]);
    same(lines.missed, 3);
  },

  async "an iteration says why the connection ended"({ client, closing }) {
    const galley = client({ url: closing(4403) });
    const changes = galley.changes();
    galley.connect().catch(() => {});
    await fails(() => changes.next(), "forbidden");
    same(await changes.next(), { done: true });
  },
};
