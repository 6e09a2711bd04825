import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { Galley } from "galley-client";
import { endings } from "../../../tests/browser/endings.js";
import { start } from "../../../tests/browser/galley.js";
import { guarded, mint } from "../../../tests/browser/token.js";
import { until } from "./stage.js";

/** Past its expiry a token is good for so many seconds more. */
const LEEWAY = 2;
/** Seconds that a short token lives. */
const SHORT = 4;
const now = () => Date.now() / 1_000;

/** A token of hero 1. */
const token = (seconds) => mint({ role: "hero", sub: "1" }, seconds);

/** A gateway that asks for tokens, and a client of hero 1 with what it went through. */
async function gate(test, provider) {
  const atEnd = endings(test);
  const galley = await start(...guarded, "--processing-delay", "0s");
  atEnd(() => galley.stop());
  const client = new Galley({ url: galley.url, token: provider, webSocket: WebSocket, backoff: { base: 1, cap: 2 } });
  atEnd(async () => client.close());
  const states = [];
  client.on("state", (state) => states.push(state.reason?.code ?? state.name));
  const lines = [];
  client.on("sent", (line) => lines.push(line));
  return { client, states, lines };
}

test("an open connection outlives its token, again and again", async (t) => {
  const { client, states, lines } = await gate(t, () => token(SHORT));
  await client.connect();
  const end = now() + 2 * (SHORT + LEEWAY);
  let renewed = 0;
  for (; now() < end; renewed++) await client.once("reply", ({ authenticated }) => authenticated);
  assert.ok(renewed >= 3, `${renewed} renewals`);
  const order = await client.place(12);
  await until(client, ([first]) => first?.id === order.id && first.status === "COMPLETED");
  assert.deepEqual(states, ["connecting", "connected"]);
  assert.ok(lines.every((line) => !line.includes("auth")), "no token is told to whoever listens to lines");
});

for (const [what, second] of [
  ["the provider fails", () => Promise.reject(new Error("no token to be had"))],
  ["the provider has no other token", (first) => first],
  ["the gateway takes it not", () => token(-60)],
]) {
  test(`when ${what}, the connection ends with its token and comes back with the next`, async (t) => {
    const first = token(SHORT);
    let asked = 0;
    const { client, states } = await gate(t, () => (++asked === 1 ? first : asked === 2 ? second(first) : token(3_600)));
    const fresh = client.once("welcome");
    await client.connect();
    assert.equal((await fresh).resume, "fresh");
    assert.equal((await client.once("welcome")).resume, "resumed");
    assert.deepEqual(states, ["connecting", "connected", "unauthorized", "connecting", "connected"]);
    assert.equal(asked, 3);
  });
}

test("a token may be renewed before the gateway says so, once", async (t) => {
  let present = token(3_600);
  const { client, states } = await gate(t, () => present);
  assert.equal(await client.renew(), false, "there is no connection");
  await client.connect();
  assert.equal(await client.renew(), false, "the gateway has this one");
  present = token(3_601);
  assert.equal(await client.renew(), true);
  present = "garbage";
  assert.equal(await client.renew(), false);
  assert.equal((await client.once("state", ({ name }) => name === "waiting")).reason.code, "unauthorized");
  assert.deepEqual(states.slice(0, 2), ["connecting", "connected"]);
});
