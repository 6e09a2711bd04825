// Calls, and how long their callers wait.

import { Galley, newKey, rest } from "galley-client";
import { fails, ok, same } from "./assert.js";

export const calls = {
  async "a hero orders, follows, reads, cancels and deletes"({ client, mealId, until }) {
    const galley = client();
    await galley.connect();
    same((await galley.menu()).items.map(({ id }) => id), [mealId]);
    const order = await galley.place(mealId);
    same([order.status, order.version], ["PENDING", 1]);
    await until(galley, ([first]) => first.status === "COMPLETED");
    same(await galley.get(order.id), galley.order(order.id));
    same((await galley.list({ status: ["COMPLETED"], timeout: 5_000 })).items, galley.orders);
    await fails(() => galley.cancel(order.id), "already-finished");
    await fails(() => galley.place(999_999), "meal-not-found");
    await galley.delete(order.id);
    await until(galley, (orders) => orders.length === 0);
  },

  async "a gateway under a path behind a proxy is a gateway"({ client, mealId, proxied, until }) {
    for (const url of [proxied, `${proxied}/`, new URL(proxied)]) {
      const galley = client({ url });
      await galley.connect();
      await galley.place(mealId);
      await until(galley, ([first]) => first?.status === "COMPLETED");
      const { data } = await galley.rest.GET("/heroes/{id}", { params: { path: { id: galley.heroId } } });
      same(data.id, galley.heroId);
      galley.close();
    }
  },

  async "a token is renewed on the open connection"({ client, guarded, token }) {
    const galley = client({ url: guarded, heroId: undefined, token: () => token(4) });
    const states = [];
    galley.on("state", ({ name }) => states.push(name));
    await galley.connect();
    await galley.once("reply", ({ authenticated }) => authenticated, { timeout: 10_000 });
    await galley.ping();
    same(states, ["connecting", "connected"]);
  },

  async "a token that no header takes is refused, and a provider that throws is asked again"({ client, guarded, token }) {
    await fails(() => client({ url: guarded, heroId: undefined, token: () => "no token\n" }).connect({ timeout: 10_000 }), "unauthorized");
    let asked = 0;
    const provider = () => {
      if (++asked === 1) throw new Error("later");
      return token(60);
    };
    const galley = client({ url: guarded, heroId: undefined, token: provider });
    await galley.connect();
    const broken = rest(guarded, () => Promise.reject(new Error("never")));
    await fails(() => broken.GET("/orders"), "unauthorized");
  },

  async "a caller that gives up is told so, and nothing is sent later"({ client, mealId, control, until }) {
    const galley = client();
    const gone = AbortSignal.abort("why not");
    same((await fails(() => galley.place(mealId, { signal: gone }), "aborted")).cause, "why not");
    const leaving = new AbortController();
    const early = fails(() => galley.place(mealId, { signal: leaving.signal }), "aborted");
    same(galley.pending.length, 1);
    leaving.abort();
    same((await early).sent, false);
    same((await fails(() => galley.place(mealId, { timeout: 20 }), "timeout")).sent, false);
    same([galley.pending, galley.waiting], [[], 0]);
    await galley.connect();
    await galley.ping();
    same(galley.orders, [], "nothing was ordered:");

    await control("freeze");
    const key = newKey();
    const late = await fails(() => galley.place(mealId, { key, timeout: 200 }), "timeout");
    same([late.name, late.sent], ["TimeoutError", true]);
    const signal = AbortSignal.timeout(100);
    for (const call of [
      () => galley.get(1, { signal }), () => galley.list({ signal }), () => galley.menu(undefined, { signal }), () => galley.ping({ signal }),
      () => galley.cancel(1, "", { signal }), () => galley.delete(1, { signal }), () => galley.watch({}, { signal }),
      () => galley.once("order", () => true, { signal }), () => galley.changes({ signal }).next(), () => galley.rest.GET("/heroes", { signal }),
    ]) await fails(call, "aborted");
    await fails(() => galley.changes({ timeout: 10 }).next(), "timeout");
    await fails(() => galley.rest.GET("/heroes", { timeout: 10 }), "timeout");
    await fails(() => client({ timeout: 50 }).ping(), "timeout");
    await control("thaw");
    // What was given up may have been carried out: the same key says so.
    await galley.place(mealId, { key });
    await until(galley, (orders) => orders.length === 1 && orders[0].status === "COMPLETED");
  },

  async "every call after close settles"({ client, mealId, gateway }) {
    const galley = client();
    const early = fails(() => galley.place(mealId), "closed");
    galley.close();
    await early;
    const calls = [
      () => galley.place(mealId), () => galley.cancel(1), () => galley.delete(1), () => galley.get(1), () => galley.list(),
      () => galley.menu(), () => galley.watch(), () => galley.ping(), () => galley.changes().next(),
    ];
    for (const call of calls) await fails(call, "closed");
    same([await galley.renew(), galley.sendLine("menu")], [false, false]);
    galley.check();
    galley.retryNow();
    galley.close();
    const other = client({ url: gateway });
    const never = fails(() => other.connect(), "closed");
    other.close();
    await never;
    await other.connect();
    await other.ping();
    same((await client().rest.GET("/heroes/{id}", { params: { path: { id: 999_999 } } })).error.status, 404);
  },

  async "what a client cannot work with is refused at once, and named"({ gateway }) {
    const { port } = new URL(gateway);
    for (const url of [
      `localhost:${port}`, `127.0.0.1:${port}`, "", "galley", "//galley", `ws://127.0.0.1:${port}`, "file:///galley", "http://", "http://127.0.0.1:99999",
      "http://user:password@127.0.0.1", `${gateway}/?hero=1`, `${gateway}/#order`, undefined, null, 8080,
    ]) {
      for (const make of [() => new Galley({ url }), () => rest(url)]) {
        const { message } = await fails(make, "invalid-option");
        ok(message.startsWith("url: ") && !message.includes("password@"), message);
      }
    }
    for (const [name, values] of Object.entries({
      heroId: ["4", 0, -1, 1.5, NaN, null], token: ["abc"], timeout: [-1, NaN], maxWaiting: [0, NaN], maxEnded: [-1],
      backoff: [{ base: 0, cap: 1 }, { base: 1, cap: NaN }, { base: Infinity, cap: 1 }],
    })) {
      for (const value of values) {
        const { message } = await fails(() => new Galley({ url: gateway, [name]: value }), "invalid-option");
        ok(message.startsWith(`${name}: `), message);
      }
    }
    const galley = new Galley({ url: gateway });
    await fails(() => galley.ping({ timeout: -1 }), "invalid-option");
    await fails(() => galley.changes({ buffer: 0 }), "invalid-option");
  },

  async "where there is no WebSocket, connect says so"({ client }) {
    const own = globalThis.WebSocket;
    globalThis.WebSocket = undefined;
    try {
      await fails(() => client().connect(), "no-web-socket");
    } finally {
      globalThis.WebSocket = own;
    }
    await client({ webSocket: own }).connect();
  },

  async "where nobody answers, a call says so"({ client }) {
    const galley = client({ url: "http://127.0.0.1:1" });
    await fails(() => galley.connect({ timeout: 300 }), "timeout");
    await fails(() => galley.rest.GET("/heroes"), "unreachable");
  },
};
