// Networks that are slow, cut, swallow and refuse, and TLS.

import assert from "node:assert/strict";
import { test } from "./scenario.js";
import { all, told } from "./stage.js";

test("a connection through which nothing comes any more is made anew, and each order is placed once", async ({ kitchen, network, client }) => {
  const { galley, meal, stored } = await kitchen("0s");
  const way = await network(galley.url);
  const [one, witness] = [await client(way.url), await client(galley.url)];
  // The gateway hears the first command; the second one is lost.
  way.deafen();
  const first = one.ask("place", { meal_id: meal.id });
  await witness.picture((orders) => orders.length === 1);
  way.swallow();
  const second = one.ask("place", { meal_id: meal.id });
  assert.equal((await one.state("waiting")).cause, "silent");
  assert.notEqual((await first).id, (await second).id);
  assert.deepEqual(await one.picture(all(2, "COMPLETED")), await stored());
});

test("on a slow network everything comes late, on one connection", async ({ kitchen, network, client }) => {
  const { galley, meal, stored } = await kitchen("0s");
  const way = await network(galley.url);
  Object.assign(way, { delay: 150, rate: 8 * 1024 });
  const one = await client(way.url);
  await Promise.all(Array.from({ length: 15 }, () => one.ask("place", { meal_id: meal.id })));
  assert.deepEqual(await one.picture(all(15, "COMPLETED")), await stored());
  assert.equal(way.opened(), 1);
  assert.equal(told(one.events).length, 45, "each of three states of each order, once");
});

test("on a network that cuts every connection each order is placed once", async ({ kitchen, network, client }) => {
  const { galley, meal, stored } = await kitchen("0s");
  const way = await network(galley.url);
  const one = await client(way.url);
  // Within the handshake, within the welcome, within a frame, between frames.
  way.cuts = [20, 300, 700, 1_500, 2_500, 4_000, 6_000, 9_000];
  const placed = Array.from({ length: 20 }, () => one.ask("place", { meal_id: meal.id }));
  way.cut();
  const ids = (await Promise.all(placed)).map(({ id }) => id);
  assert.equal(new Set(ids).size, 20);
  assert.deepEqual(await one.picture(all(20, "COMPLETED")), await stored());
  assert.ok(way.opened() > 3, `${way.opened()} connections`);
});

test("what changed while the client was away is told when it comes back, and nothing twice", async ({ kitchen, network, client }) => {
  const { galley, hero, meal, stored } = await kitchen("1h");
  const way = await network(galley.url);
  const one = await client(way.url);
  const [stays, cancelled, gone] = await Promise.all([1, 2, 3].map(() => one.ask("place", { meal_id: meal.id })));
  await one.ask("cancel", { order_id: gone.id });
  await one.picture((orders) => orders.length === 3 && orders.filter(({ status }) => status === "IN_PROGRESS").length === 2);
  const before = one.events.length;
  way.refusing = true;
  way.cut();
  await one.state("waiting");
  await galley.ask("POST", `/orders/${cancelled.id}/cancel`, {});
  await galley.ask("DELETE", `/orders/${gone.id}`);
  const fresh = await galley.ask("POST", "/orders", { hero_id: hero.id, meal_id: meal.id });
  way.refusing = false;
  assert.equal((await one.frame("welcome")).resume, "resumed");
  const seen = await one.picture((orders) => orders.some(({ id, status }) => id === fresh.id && status === "IN_PROGRESS"));
  assert.deepEqual(seen, await stored());
  assert.deepEqual(seen.map(({ id }) => id), [fresh.id, ...[stays.id, cancelled.id].sort((a, b) => b - a)]);
  const states = told(one.events.slice(before));
  assert.equal(new Set(states).size, states.length, `${states}`);
  assert.ok(states.includes(`${cancelled.id} v3`) && states.includes(`${gone.id} gone`), `${states}`);
  assert.ok(!states.some((state) => state.startsWith(`${stays.id} `)), "what did not change is not told");
});

test("TLS is spoken with whom an authority of one's own vouches for, and with nobody else", async ({ kitchen, network, authority, client, program }) => {
  const { galley, meal } = await kitchen("0s");
  const { ca, secured } = await authority();
  const way = await network(galley.url, secured);
  const [one, other] = [await client(way.url, { ca }), program()];
  await one.ask("place", { meal_id: meal.id });
  await one.picture(all(1, "COMPLETED"));
  other.ask("open", { url: way.url, hero_id: 1 });
  await other.next(({ name }) => name === "waiting" || name === "closed");
  assert.ok(!other.states.includes("connected"));
});
