import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { storageKeeper } from "galley-client";
import { kitchen, until } from "./stage.js";

/** A `localStorage` that outlives the clients of a test. */
function storage() {
  const items = new Map();
  return {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, text) => void items.set(name, text),
    removeItem: (name) => void items.delete(name),
  };
}

test("the gateway is killed again and again while orders are placed: nothing is missed, nothing twice", async (t) => {
  const { galley, meal, client, stored } = await kitchen(t, "0s");
  const [one, other] = [client(), client()];
  await Promise.all([one.connect(), other.connect()]);
  const wanted = [];
  for (let round = 0; round < 4; round++) {
    const placed = Array.from({ length: 20 }, () => one.place(meal.id));
    wanted.push(...placed);
    // In the midst of it: some are answered, some are not, and what the answer is does not matter.
    await Promise.race(placed);
    const lost = one.once("state", ({ name }) => name === "waiting");
    await galley.kill();
    assert.equal((await lost).reason.code, "lost");
    // Ordered while nobody is there.
    wanted.push(one.place(meal.id));
    await galley.restart();
    await Promise.all(wanted);
  }
  const ids = (await Promise.all(wanted)).map(({ id }) => id);
  assert.equal(new Set(ids).size, wanted.length, "every promise has its own order");
  for (const picture of [one, other]) {
    await until(picture, (orders) => orders.length === wanted.length && orders.every(({ status }) => status === "COMPLETED"));
    assert.deepEqual(picture.orders, await stored());
  }
});

test("a gateway that leaves says when to come back", async (t) => {
  const { galley, meal, client } = await kitchen(t, "0s", "--drain", "1s");
  const one = client();
  await one.connect();
  const told = one.once("reconnect");
  const lost = one.once("state", ({ name }) => name === "waiting");
  const left = galley.leave();
  const { after_ms } = await told;
  assert.ok(after_ms <= 1_000);
  assert.equal((await lost).reason.code, "restart");
  await left;
  await galley.restart();
  await one.place(meal.id);
  await until(one, ([first]) => first?.status === "COMPLETED");
});

test("a program that dies before the answer finds its order again", async (t) => {
  const { meal, client, stored } = await kitchen(t, "1h");
  const shelf = storage();
  const keeper = () => storageKeeper(shelf, "hero 1");
  // The first life does not hear the answer, and dies of it.
  const first = client({ keeper: keeper(), webSocket: deaf({ once: false }) });
  await first.connect();
  first.place(meal.id).catch(() => {});
  await until(first, (orders) => orders.length === 1);
  first.close();
  assert.equal(keeper().all().length, 1);

  const second = client({ keeper: keeper() });
  const answer = second.once("reply");
  await second.connect();
  assert.equal((await answer).replayed, true);
  assert.deepEqual(keeper().all(), []);
  assert.equal((await stored()).length, 1);
});

test("cancelling and deleting twice for want of an answer is doing it once", async (t) => {
  const { meal, client } = await kitchen(t, "1h");
  const galley = client({ webSocket: deaf({ once: true }) });
  await galley.connect();
  const order = await galley.place(meal.id);
  assert.equal((await galley.cancel(order.id)).reason, "hero_request");
  await galley.delete(order.id);
  assert.deepEqual(galley.orders, []);
});

/** Sockets that break off instead of hearing a reply: every one, or the first one to each command. */
function deaf({ once }) {
  const lost = new Set();
  return class extends WebSocket {
    set onmessage(listener) {
      super.onmessage = listener && ((event) => {
        const { type, id } = JSON.parse(event.data);
        if (type !== "reply" || (once && lost.has(id))) return listener(event);
        lost.add(id);
        this.terminate();
      });
    }
  };
}
