// Tokens that are renewed, expire, and are refused.

import assert from "node:assert/strict";
import { guarded, mint } from "../browser/token.js";
import { test } from "./scenario.js";
import { all } from "./stage.js";

/** Seconds that a short token lives; the gateway allows two more. */
const SHORT = 4;

/** A token of hero 1. */
const token = (seconds) => mint({ role: "hero", sub: "1" }, seconds);

test("an open connection outlives its token, again and again", async ({ guardedKitchen, program }) => {
  const [galley, one] = [await guardedKitchen(...guarded), program()];
  await one.ask("ready");
  // The second is renewed too; the third holds.
  await one.ask("open", { url: galley.url, tokens: [token(SHORT), token(SHORT + 3), token(3_600)] });
  for (let renewed = 0; renewed < 2; ) renewed += (await one.frame("reply")).authenticated ? 1 : 0;
  const order = await one.ask("place", { meal_id: 12 });
  await one.picture(all(1, "COMPLETED"));
  assert.equal((await one.ask("orders"))[0].id, order.id);
  assert.deepEqual(one.states, ["connecting", "connected"]);
});

test("without a new token the connection ends with the old one, and comes back with the next", async ({ guardedKitchen, program }) => {
  const [galley, one] = [await guardedKitchen(...guarded), program()];
  await one.ask("ready");
  const short = token(SHORT);
  await one.ask("open", { url: galley.url, tokens: [short, short, token(3_600)] });
  const { id } = await one.ask("place", { meal_id: 12 });
  const { cause } = await one.state("waiting");
  assert.equal(cause, "unauthorized");
  assert.equal((await one.frame("welcome")).resume, "resumed");
  await one.picture(([first]) => first?.id === id && first.status === "COMPLETED");
});

test("a token that is refused twice is an end", async ({ guardedKitchen, program }) => {
  const galley = await guardedKitchen(...guarded);
  const one = program();
  await assert.rejects(one.ask("open", { url: galley.url, tokens: [token(-60), token(-59), token(3_600)] }), { code: "unauthorized" });
  assert.equal((await one.state("closed")).cause, "unauthorized");
});
