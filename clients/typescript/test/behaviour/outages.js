// The client while its gateway dies, leaves, and forgets the hero.

import { fails, ok, same } from "./assert.js";

export const outages = {
  async "a gateway that is killed: nothing is missed, and nothing is done twice"({ client, mealId, control, until }) {
    const galley = client();
    await galley.connect();
    const before = galley.place(mealId);
    await before;
    const wanted = [before, galley.place(mealId), galley.place(mealId)];
    const lost = galley.once("state", ({ name }) => name === "waiting");
    await control("kill");
    same((await lost).reason.code, "lost");
    wanted.push(galley.place(mealId));
    const resumed = galley.once("welcome");
    await control("restart");
    same((await resumed).resume, "resumed");
    const ids = (await Promise.all(wanted)).map(({ id }) => id);
    same(new Set(ids).size, 4, "each has its own order:");
    await until(galley, (orders) => orders.length === 4 && orders.every(({ status }) => status === "COMPLETED"));
    const { data } = await galley.rest.GET("/orders", { params: { query: { hero_id: galley.heroId, limit: 100 } } });
    same(data.items.map(({ id }) => id), galley.orders.map(({ id }) => id));
  },

  async "a gateway that leaves says when to come back"({ client, mealId, control, until }) {
    const galley = client();
    await galley.connect();
    const told = galley.once("reconnect");
    const lost = galley.once("state", ({ name }) => name === "waiting");
    const left = control("leave");
    ok((await told).after_ms <= 1_000, "within the drain window");
    same((await lost).reason.code, "restart");
    await left;
    await control("restart");
    await galley.place(mealId);
    await until(galley, ([first]) => first?.status === "COMPLETED");
  },

  async "a hero who is not there is an end, and known at once"({ client, mealId }) {
    const galley = client({ heroId: 999_999 });
    const waiting = galley.place(mealId);
    const failed = fails(() => waiting, "hero-not-found");
    await fails(() => galley.connect({ timeout: 5_000 }), "hero-not-found");
    await failed;
    same(galley.state.name, "closed");
    await fails(() => galley.ping(), "hero-not-found");
  },

  async "a hero who is deleted is an end"({ client, heroId, mealId, gateway }) {
    const galley = client();
    await galley.connect();
    const ended = galley.once("state", ({ name }) => name === "closed", { timeout: 10_000 });
    same((await fetch(`${gateway}/heroes/${heroId}`, { method: "DELETE" })).status, 204);
    same((await ended).reason.code, "hero-not-found");
    await fails(() => galley.place(mealId), "hero-not-found");
  },

  async "a socket that fires error without close is not waited for"({ client, gateway }) {
    const before = client({ heroId: 999_999, webSocket: silent() });
    await fails(() => before.connect({ timeout: 5_000 }), "hero-not-found");
    const sockets = [];
    const after = client({ webSocket: silent(sockets, globalThis.WebSocket), url: gateway });
    await after.connect();
    const lost = after.once("state", ({ name }) => name === "waiting", { timeout: 5_000 });
    sockets[0].onerror({});
    same((await lost).reason.code, "lost");
    await after.once("state", ({ name }) => name === "connected", { timeout: 10_000 });
  },

  async "close codes are followed, known or not"({ client, closing }) {
    for (const [code, reason] of [[4403, "forbidden"], [1008, "hero-not-found"], [4404, "hero-not-found"], [1003, "refused"]]) {
      await fails(() => client({ url: closing(code) }).connect({ timeout: 5_000 }), reason);
    }
    const busy = client({ url: closing(1013) });
    await fails(() => busy.connect({ timeout: 500 }), "timeout");
    ok(["waiting", "connecting"].includes(busy.state.name), "it tries again");
  },
};

/** Sockets that fail as those of Node 22 did; with a class, those that have opened first. */
function silent(made = [], Opening) {
  if (Opening) {
    return class extends Opening {
      constructor(...given) {
        super(...given);
        made.push(this);
      }
    };
  }
  return class {
    readyState = 0;
    constructor() {
      setTimeout(() => this.onerror?.({}));
    }
    close() {}
  };
}
