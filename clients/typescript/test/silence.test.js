// A gateway that takes commands and says nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ProblemError } from "galley-client";
import { kitchen, until } from "./stage.js";

test("a gateway that does not answer is known within seconds, and what waits is answered when it goes on", async (t) => {
  const { galley, meal, client, stored } = await kitchen(t, "1h");
  const one = client();
  await one.connect();
  galley.freeze();
  const began = performance.now();
  const placed = [one.place(meal.id), one.place(meal.id)];
  assert.deepEqual(one.pending.map(({ type, meal_id }) => [type, meal_id]), [["place", meal.id], ["place", meal.id]]);
  await one.once("state", ({ name }) => name === "unresponsive");
  assert.ok(performance.now() - began < 8_000, "within seconds");
  const back = one.once("state", ({ name }) => name === "connected");
  galley.thaw();
  await back;
  const orders = await Promise.all(placed);
  assert.equal(new Set(orders.map(({ id }) => id)).size, 2);
  assert.deepEqual([one.pending, (await stored()).length], [[], 2]);
});

test("a connection on which nothing comes any more is made anew, and each command is carried out once", async (t) => {
  const { galley, meal, client, stored } = await kitchen(t, "1h");
  const one = client({ backoff: { base: 1, cap: 2 } });
  await one.connect();
  const order = await one.place(meal.id);
  galley.freeze();
  const cancelled = one.cancel(order.id);
  assert.equal(one.pending[0].order_id, order.id);
  const { reason } = await one.once("state", ({ name }) => name === "waiting");
  assert.equal(reason.code, "silent");
  galley.thaw();
  assert.equal((await cancelled).status, "CANCELLED");
  await until(one, ([first]) => first.status === "CANCELLED");
  assert.deepEqual((await stored()).map(({ status, reason }) => [status, reason]), [["CANCELLED", "hero_request"]]);
});

test("what is refused waits no more", async (t) => {
  const { client } = await kitchen(t, "0s");
  const one = client();
  await one.connect();
  await assert.rejects(one.place(999), ProblemError);
  assert.deepEqual(one.pending, []);
});

test("a change that waits can be withdrawn, and its call says whether it was sent", async (t) => {
  const { galley, meal, client, stored } = await kitchen(t, "1h");
  const one = client();
  const unsent = assert.rejects(one.place(meal.id), { code: "aborted", sent: false });
  assert.equal(one.withdraw(one.pending[0].id), false);
  await unsent;
  await one.connect();
  await one.ping();
  assert.deepEqual([one.pending, await stored()], [[], []]);
  galley.freeze();
  const sent = assert.rejects(one.place(meal.id), { code: "aborted", sent: true });
  assert.equal(one.withdraw(one.pending[0].id), true);
  await sent;
  assert.equal(one.withdraw(999), false);
  galley.thaw();
  await until(one, (orders) => orders.length === 1);
});
