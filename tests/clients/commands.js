// Commands during outages, over the lives of a program, at bounds; and the feed of staff.

import assert from "node:assert/strict";
import { test } from "./scenario.js";
import { all } from "./stage.js";

test("a program that is killed finds its orders again, sent or not, and places each once", async ({ kitchen, network, client, shelf }) => {
  const { galley, meal, stored } = await kitchen("1h");
  const [way, store] = [await network(galley.url), await shelf()];
  const [first, witness] = [await client(way.url, { store }), await client(galley.url)];
  // The answer to this one is lost on its way, the next one is never sent.
  way.deafen();
  first.ask("place", { meal_id: meal.id });
  await witness.picture((orders) => orders.length === 1);
  way.refusing = true;
  way.cut();
  await first.state("waiting");
  first.ask("place", { meal_id: meal.id });
  await first.ask("orders");
  await first.kill();
  way.refusing = false;
  const second = await client(way.url, { store });
  await second.picture((orders) => orders.length === 2);
  assert.equal((await stored()).length, 2);
  // A third life has nothing left to do.
  await second.ask("close");
  const third = await client(way.url, { store });
  assert.notEqual((await third.ask("place", { meal_id: meal.id })).id, undefined);
  assert.equal((await stored()).length, 3);
});

test("at the bound a command is refused, and those before it are carried out after the outage", async ({ kitchen, client }) => {
  const { galley, meal, stored } = await kitchen("0s");
  const one = await client(galley.url, { max_waiting: 2 });
  await galley.kill();
  await one.state("waiting");
  const placed = [one.ask("place", { meal_id: meal.id }), one.ask("place", { meal_id: meal.id })];
  await assert.rejects(one.ask("place", { meal_id: meal.id }), { code: "outbox-full" });
  await galley.restart();
  await Promise.all(placed);
  assert.equal((await stored()).length, 2);
});

test("a burst above the rate of commands is carried out later, and each once", async ({ kitchen, client }) => {
  const { galley, meal, stored } = await kitchen("0s", "--command-rate", "20/s burst 20");
  const one = await client(galley.url);
  const placed = await Promise.all(Array.from({ length: 32 }, () => one.ask("place", { meal_id: meal.id })));
  assert.equal(new Set(placed.map(({ id }) => id)).size, 32);
  assert.equal((await stored()).length, 32);
  assert.ok(one.events.some(({ frame }) => frame?.type === "error" && frame.problem.type.endsWith("/rate-limited")));
});

test("a refusal has its code, and the connection goes on", async ({ kitchen, client }) => {
  const { galley, meal } = await kitchen("1h");
  const one = await client(galley.url);
  await assert.rejects(one.ask("place", { meal_id: 999 }), { code: "meal-not-found" });
  const { id } = await one.ask("place", { meal_id: meal.id });
  await assert.rejects(one.ask("delete", { order_id: id }), { code: "not-finished" });
  assert.equal((await one.ask("cancel", { order_id: id, reason: "changed my mind" })).reason, "hero_request");
  await assert.rejects(one.ask("cancel", { order_id: id }), { code: "already-finished" });
  assert.equal((await one.ask("get", { order_id: id })).status, "CANCELLED");
  await one.ask("delete", { order_id: id });
  await one.picture((orders) => orders.length === 0);
  await assert.rejects(one.ask("get", { order_id: id }), { code: "order-not-found" });
  assert.deepEqual(one.states, ["connecting", "connected"]);
});

test("a call after the end is refused", async ({ kitchen, client }) => {
  const { galley, meal } = await kitchen("0s");
  const one = await client(galley.url);
  await one.ask("close");
  assert.equal((await one.state("closed")).cause, "closed");
  await assert.rejects(one.ask("place", { meal_id: meal.id }), { code: "closed" });
});

test("a changed hero and a changed menu come by themselves, and a welcome has the hero as it is", async ({ kitchen, client }) => {
  const { galley, hero, meal } = await kitchen("0s");
  const [one, staff] = [await client(galley.url), await client(galley.url, { hero_id: undefined })];
  const change = (allergies) => galley.ask("PATCH", `/heroes/${hero.id}`, { allergies });
  assert.deepEqual((await one.frame("welcome")).hero.allergies, []);
  await change(["leek"]);
  assert.deepEqual((await one.frame("hero")).hero.allergies, ["leek"]);
  await galley.ask("PATCH", `/meals/${meal.id}`, { price: 3.5 });
  for (const each of [one, staff]) {
    while (!(await each.frame("menu")).changed.includes(meal.id));
  }
  await galley.kill();
  await one.state("waiting");
  await galley.restart();
  assert.deepEqual((await one.frame("welcome")).hero.allergies, ["leek"]);
  await change(["leek", "milk"]);
  assert.deepEqual((await one.frame("hero")).hero.allergies, ["leek", "milk"]);
  assert.equal(staff.events.some(({ frame }) => frame?.type === "hero"), false);
});

test("staff that watches sees what happened while the gateway was dead", async ({ kitchen, client }) => {
  const { galley, hero, meal, stored } = await kitchen("0s");
  const order = () => galley.ask("POST", "/orders", { hero_id: hero.id, meal_id: meal.id });
  const one = await client(galley.url, { hero_id: undefined });
  await one.ask("watch");
  await order();
  await one.picture(all(1, "COMPLETED"));
  await galley.kill();
  await one.state("waiting");
  await galley.restart();
  await order();
  assert.deepEqual(await one.picture(all(2, "COMPLETED")), await stored());
});
