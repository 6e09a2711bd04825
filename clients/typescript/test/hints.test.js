// Hints that a healthy gateway gives rarely, from a stand-in that gives them on demand.

import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { Galley, pause } from "galley-client";

/** A stand-in: what each line is answered with. */
async function gateway(test, answer, welcome = () => ({ type: "welcome", resume: "fresh", orders: [], help: "" })) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "galley.v1" });
  await new Promise((resolve) => server.once("listening", resolve));
  const asked = [];
  server.on("connection", (socket, request) => {
    asked.push(request);
    const first = welcome(asked.length);
    if (typeof first === "number") return socket.close(first);
    socket.send(JSON.stringify(first));
    socket.on("message", (data) => {
      const frame = JSON.parse(data);
      socket.send(JSON.stringify({ id: frame.id, ...answer(frame) }));
    });
  });
  const url = `http://127.0.0.1:${server.address().port}`;
  const made = (more) => new Galley({ url, webSocket: WebSocket, ...more });
  const clients = [];
  test.after(() => {
    clients.forEach((client) => client.close());
    server.close();
    server.clients.forEach((socket) => socket.terminate());
  });
  return { asked, url, client: (more = {}) => (clients.push(made(more)), clients.at(-1)) };
}

const problem = (slug, more = {}) => ({ type: "error", problem: { type: `/problems/${slug}`, title: slug, status: 429, detail: slug, ...more } });

test("a command that came too fast is said again when the gateway asked for it", async (t) => {
  const times = [];
  const { client } = await gateway(t, () => {
    times.push(performance.now());
    return times.length === 1 ? problem("rate-limited", { retry_after_ms: 200 }) : { type: "pong" };
  });
  const galley = client();
  await galley.connect();
  await galley.ping();
  assert.equal(times.length, 2);
  assert.ok(times[1] - times[0] >= 199, `${times[1] - times[0]} ms`);
});

test("a gateway may lie under a path", async (t) => {
  const { asked, url, client } = await gateway(t, () => ({ type: "pong" }));
  for (const path of ["", "/", "/galley", "/apps/galley/"]) await client({ url: url + path, heroId: 7 }).connect();
  const paths = asked.map((request) => request.url);
  assert.deepEqual(paths, ["/ws?hero_id=7", "/ws?hero_id=7", "/galley/ws?hero_id=7", "/apps/galley/ws?hero_id=7"]);
});

test("a command that is deferred without end fails in the end", async (t) => {
  let times = 0;
  const { client } = await gateway(t, () => (times++, problem("overloaded")));
  const galley = client({ backoff: { base: 1, cap: 2 } });
  await galley.connect();
  await assert.rejects(galley.ping(), { slug: "overloaded" });
  assert.equal(times, 11);
});

test("a gateway that asks for more time than a timer holds is not asked at once", async (t) => {
  const { asked, client } = await gateway(t, () => ({ type: "reconnect", after_ms: 1e12 }));
  const galley = client({ backoff: { base: 1, cap: 2 } });
  await galley.connect();
  galley.ping().catch(() => {});
  await galley.once("reconnect");
  asked[0].socket.destroy();
  await galley.once("state", ({ name }) => name === "waiting");
  await assert.rejects(galley.once("state", () => true, { timeout: 300 }), { code: "timeout" });
  assert.equal(asked.length, 1);
});

test("commands that came too fast together come back one after another", async (t) => {
  const times = [];
  const { client } = await gateway(t, () => {
    times.push(performance.now());
    return times.length <= 5 ? problem("rate-limited", { retry_after_ms: 100 }) : { type: "pong" };
  });
  const galley = client({ backoff: { base: 1, cap: 2 } });
  await galley.connect();
  await Promise.all(Array.from({ length: 5 }, () => galley.ping()));
  const gaps = times.slice(5).map((time) => time - times[0]);
  assert.ok(gaps.length === 5 && gaps.every((gap, turn) => gap >= 100 * (turn + 1) - 5), `${gaps}`);
});

test("a token is asked for anew, and given up when a new one does not help", async (t) => {
  const { asked, client } = await gateway(t, () => ({}), () => 4401);
  let tokens = 0;
  const galley = client({ token: () => `token-${++tokens}`, backoff: { base: 1, cap: 2 } });
  await assert.rejects(galley.connect(), /unauthorized/);
  const offered = asked.map(({ headers }) => headers["sec-websocket-protocol"]);
  assert.deepEqual(offered, ["galley.v1,bearer.token-1", "galley.v1,bearer.token-2"]);
});

test("a cursor is handed back, and a code that says so is an end", async (t) => {
  const { asked, client } = await gateway(t, () => ({}), (time) =>
    time === 1 ? { type: "welcome", resume: "fresh", orders: [], help: "", cursor: "r7d0.7" } : 4403,
  );
  const galley = client({ heroId: 4, backoff: { base: 1, cap: 2 } });
  await galley.connect();
  const ended = galley.once("state", ({ name }) => name === "closed");
  asked[0].socket.destroy();
  assert.equal((await ended).reason.code, "forbidden");
  assert.deepEqual(asked.map(({ url }) => url), ["/ws?hero_id=4", "/ws?hero_id=4&cursor=r7d0.7"]);
});

test("pauses have full jitter and a bound", () => {
  const backoff = { base: 100, cap: 1_000 };
  assert.equal(pause(3, backoff, () => 0), 0);
  assert.deepEqual([0, 1, 2, 3, 4, 400].map((attempt) => pause(attempt, backoff, () => 1)), [100, 200, 400, 800, 1_000, 1_000]);
});
