import assert from "node:assert/strict";
import { test } from "node:test";
import { OutboxFull, ProblemError } from "galley-client";
import { kitchen, until } from "./stage.js";

test("a hero reads the menu, orders, follows, reads and deletes", async (t) => {
  const { meal, client } = await kitchen(t, "0s");
  const galley = client();
  const seen = [];
  galley.on("order", ({ order }) => seen.push(order.status));
  await galley.connect();
  assert.deepEqual((await galley.menu()).items, [meal]);
  const order = await galley.place(meal.id);
  assert.deepEqual([order.status, order.version], ["PENDING", 1]);
  await until(galley, ([first]) => first.status === "COMPLETED");
  assert.deepEqual(seen.slice(-2), ["IN_PROGRESS", "COMPLETED"]);
  assert.deepEqual(await galley.get(order.id), galley.order(order.id));
  assert.deepEqual((await galley.list({ status: ["COMPLETED"] })).items, galley.orders);
  await galley.delete(order.id);
  await until(galley, (orders) => orders.length === 0);
});

test("what the gateway refuses rejects with its problem", async (t) => {
  const { meal, client } = await kitchen(t, "1h");
  const galley = client();
  await galley.connect();
  const order = await galley.place(meal.id);
  const cancelled = await galley.cancel(order.id, "changed my mind");
  assert.deepEqual([cancelled.status, cancelled.reason, cancelled.message], ["CANCELLED", "hero_request", "changed my mind"]);
  await assert.rejects(galley.cancel(order.id), (error) => error instanceof ProblemError && error.slug === "already-finished");
  await assert.rejects(galley.place(999), { name: "ProblemError", message: /999/ });
});

test("staff watches everybody, with totals", async (t) => {
  const { hero, meal, galley, client } = await kitchen(t, "0s");
  const staff = client({ heroId: undefined });
  await staff.connect();
  assert.deepEqual(await staff.watch(), { PENDING: 0, IN_PROGRESS: 0, COMPLETED: 0, CANCELLED: 0 });
  const counted = staff.once("feed", ({ totals }) => totals.COMPLETED === 1);
  const { data } = await staff.rest.POST("/orders", { body: { hero_id: hero.id, meal_id: meal.id } });
  await counted;
  await until(staff, ([first]) => first.status === "COMPLETED");
  assert.equal(staff.order(data.id).hero_id, hero.id);
  await assert.rejects(staff.place(meal.id), { slug: "forbidden" });
  await galley.leave();
  await galley.restart();
  const again = staff.once("feed", ({ totals }) => totals.COMPLETED === 2);
  await staff.connect();
  await galley.ask("POST", "/orders", { hero_id: hero.id, meal_id: meal.id });
  await again;
});

test("the outbox is bounded, and what it does not take is not kept", async (t) => {
  const { meal, client } = await kitchen(t, "0s");
  const kept = [];
  const keeper = { keep: (one) => kept.push(one), forget: () => {}, all: () => [] };
  const galley = client({ maxWaiting: 2, keeper });
  const early = [galley.place(meal.id), galley.place(meal.id)];
  await assert.rejects(galley.place(meal.id), OutboxFull);
  assert.equal(kept.length, 2);
  await galley.connect();
  assert.deepEqual((await Promise.all(early)).map(({ status }) => status), ["PENDING", "PENDING"]);
});

test("a hero who is not there is an end, not a reason to come back", async (t) => {
  const { client } = await kitchen(t, "0s");
  const galley = client({ heroId: 999 });
  await assert.rejects(galley.connect(), /hero-not-found/);
  assert.equal(galley.state.name, "closed");
});
