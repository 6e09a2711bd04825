// Gateways that are killed, leave and freeze, and heroes who are gone.

import assert from "node:assert/strict";
import { test } from "./scenario.js";
import { all, told } from "./stage.js";

test("a gateway that stays frozen is left, and each command is carried out once", async ({ kitchen, client }) => {
  const { galley, meal, stored } = await kitchen("1h");
  const one = await client(galley.url);
  const order = await one.ask("place", { meal_id: meal.id });
  galley.freeze();
  const cancelled = one.ask("cancel", { order_id: order.id });
  const placed = one.ask("place", { meal_id: meal.id });
  await one.state("unresponsive");
  assert.equal((await one.state("waiting")).cause, "silent");
  galley.thaw();
  assert.equal((await cancelled).status, "CANCELLED");
  await placed;
  assert.deepEqual(await one.picture((orders) => orders.length === 2 && orders[0].status === "IN_PROGRESS"), await stored());
});

test("a frozen gateway is known within seconds, and what waits is answered when it goes on", async ({ kitchen, client }) => {
  const { galley, meal, stored } = await kitchen("1h");
  const one = await client(galley.url);
  galley.freeze();
  const began = Date.now();
  const placed = [one.ask("place", { meal_id: meal.id }), one.ask("place", { meal_id: meal.id })];
  const { at } = await one.state("unresponsive");
  assert.ok(at - began < 8_000, "within seconds");
  galley.thaw();
  const ids = (await Promise.all(placed)).map(({ id }) => id);
  assert.equal(new Set(ids).size, 2);
  assert.equal((await stored()).length, 2);
  assert.deepEqual(one.states, ["connecting", "connected", "unresponsive", "connected"]);
});

test("the gateway is killed again and again while orders are placed: nothing is missed, nothing twice", async ({ kitchen, client }) => {
  const { galley, meal, stored } = await kitchen("0s");
  const [one, other] = await Promise.all([client(galley.url), client(galley.url)]);
  const wanted = [];
  for (let round = 0; round < 3; round++) {
    const placed = Array.from({ length: 15 }, () => one.ask("place", { meal_id: meal.id }));
    wanted.push(...placed);
    // In the midst of it: some are answered, and some are not.
    await Promise.race(placed);
    await galley.kill();
    await one.state("waiting");
    // Ordered while nobody is there.
    wanted.push(one.ask("place", { meal_id: meal.id }));
    await galley.restart();
    await Promise.all(wanted);
  }
  const ids = (await Promise.all(wanted)).map(({ id }) => id);
  assert.equal(new Set(ids).size, wanted.length, "every placement has its own order");
  for (const program of [one, other]) {
    assert.deepEqual(await program.picture(all(wanted.length, "COMPLETED")), await stored());
    const states = told(program.events);
    assert.equal(new Set(states).size, states.length, "no state is told twice");
  }
});

test("a gateway that leaves says when to come back, and nobody comes earlier", async ({ kitchen, client }) => {
  const { galley, meal } = await kitchen("0s", "--drain", "1s");
  const one = await client(galley.url);
  const left = galley.leave();
  const { frame, at } = await one.next(({ event, frame }) => event === "frame" && frame.type === "reconnect");
  assert.ok(frame.after_ms <= 1_000);
  assert.equal((await one.state("waiting")).cause, "restart");
  const again = await one.state("connecting");
  assert.ok(again.at - at > frame.after_ms - 50, `${again.at - at} ms instead of ${frame.after_ms}`);
  await left;
  await galley.restart();
  await one.ask("place", { meal_id: meal.id });
  await one.picture(all(1, "COMPLETED"));
});

test("a hero who is deleted is an end, and so is one who never was", async ({ kitchen, client, program }) => {
  const { galley, hero } = await kitchen("0s");
  const [one, other] = [await client(galley.url), program()];
  await galley.ask("DELETE", `/heroes/${hero.id}`);
  // A client with REST asks there what 1008 means.
  assert.ok(["forbidden", "hero-not-found"].includes((await one.state("closed")).cause));
  await assert.rejects(other.ask("open", { url: galley.url, hero_id: 999 }), { code: "hero-not-found" });
  assert.equal((await other.state("closed")).cause, "hero-not-found");
});
