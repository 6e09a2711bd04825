import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { OutboxFull, ProblemError } from "galley-client";
import { kitchen, until } from "./stage.js";

test("a hero reads the menu, orders, follows, reads and deletes", async (t) => {
  const { meal, client } = await kitchen(t, "0s");
  const galley = client();
  const seen = [];
  galley.on("order", ({ order }) => seen.push(order.status));
  await galley.connect();
  assert.deepEqual((await galley.menu()).items, [meal]);
  const sent = new Promise((resolve) => galley.on("sent", (line) => line.includes("place") && resolve(JSON.parse(line))));
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const order = await galley.place(meal.id, { traceparent });
  assert.equal((await sent).traceparent, traceparent);
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

test("what became of many orders while staff was away is read by the page", async (t) => {
  const { galley, hero, meal, client, stored } = await kitchen(t, "1h");
  const sockets = [];
  class Tracked extends WebSocket {
    constructor(...address) {
      super(...address);
      sockets.push(this);
    }
  }
  const staff = client({ heroId: undefined, webSocket: Tracked, backoff: { base: 3_600_000, cap: 3_600_000 } });
  await staff.connect();
  await staff.watch();
  const body = { hero_id: hero.id, meal_id: meal.id };
  const ids = [];
  for (let placed = 0; placed < 250; placed++) ids.push((await galley.ask("POST", "/orders", body)).id);
  await until(staff, (orders) => orders.length === ids.length && orders.every(({ status }) => status === "IN_PROGRESS"));

  const lost = staff.once("state", ({ name }) => name === "waiting");
  sockets[0].terminate();
  await lost;
  const [kept, cancelled, deleted] = [ids.slice(0, 50), ids.slice(50, 150), ids.slice(150)];
  for (const id of [...cancelled, ...deleted]) await galley.ask("POST", `/orders/${id}/cancel`, {});
  for (const id of deleted) await galley.ask("DELETE", `/orders/${id}`);
  for (let placed = 0; placed < 120; placed++) await galley.ask("POST", "/orders", body);
  const told = [];
  staff.on("sent", (line) => told.push(JSON.parse(line).type));
  staff.retryNow();
  await until(staff, (orders) => orders.filter(({ id }) => id <= ids.at(-1)).length === kept.length + cancelled.length);
  await until(staff, (orders) => orders.filter(({ status }) => status === "CANCELLED").length === cancelled.length);
  await until(staff, (orders) => orders.length === kept.length + cancelled.length + 120 && orders.every(({ status }) => status !== "PENDING"));
  assert.deepEqual(staff.orders, await stored());
  assert.deepEqual(told, ["watch"], "no command was spent on it");
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
