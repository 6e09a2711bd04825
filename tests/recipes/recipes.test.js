// Each recipe of clients/recipes orders from a real gateway that asks for tokens. Locust is the real one; k6 and Artillery are too large
// to install for a test, so that their scripts run on what stands in for them here.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { start, stored } from "../browser/galley.js";
import { guarded, mint } from "../browser/token.js";

const run = promisify(execFile);
const recipes = resolve(import.meta.dirname, "../../clients/recipes");
const locust = resolve(import.meta.dirname, "../../target/tools/recipes/bin/locust");
const token = mint({ role: "staff" }, 3_600);
let galley;
let env;

before(async () => {
  galley = await start("--processing-delay", "0s", ...guarded);
  env = { PATH: process.env.PATH, HOME: process.env.HOME, GALLEY_URL: galley.url, GALLEY_TOKEN: token };
});
after(() => galley.stop());

/** How many orders there are, all of them completed. */
async function completed() {
  const orders = await stored({ ask: (method, path) => galley.ask(method, path, undefined, token) });
  assert.ok(orders.every(({ status }) => status === "COMPLETED"), JSON.stringify(orders));
  return orders.length;
}

test("Locust measures from place to COMPLETED", async () => {
  const earlier = await completed();
  const options = ["--headless", "--users", "3", "--spawn-rate", "3", "--run-time", "3s", "--stop-timeout", "10", "--json", "--skip-log"];
  const { stdout } = await run(locust, ["-f", `${recipes}/locustfile.py`, "--host", galley.url, ...options], { env });
  const measured = JSON.parse(stdout);
  const of = (wanted) => measured.find(({ name }) => name === wanted);
  assert.deepEqual(measured.filter(({ num_failures }) => num_failures > 0), []);
  assert.ok(of("place").num_requests >= 3, stdout);
  assert.deepEqual([of("place → COMPLETED").num_requests, await completed()], [of("place").num_requests, earlier + of("place").num_requests]);
});

test("the functions that artillery.yml names measure from place to COMPLETED", async () => {
  Object.assign(process.env, { GALLEY_TOKEN: token });
  const functions = await import(`${recipes}/artillery.mjs`);
  const flow = await readFile(`${recipes}/artillery.yml`, "utf8");
  const named = [...flow.matchAll(/(?:function|beforeRequest): (\w+)/g)].map(([, name]) => name);
  assert.deepEqual(named.toSorted(), Object.keys(functions).toSorted());
  const earlier = await completed();
  const hero = await galley.ask("POST", "/heroes", { name: "Artillery", planet: "Load" }, token);
  const context = { vars: { target: galley.url, hero: hero.id } };
  const measured = [];
  await functions.listen(context);
  for (let count = 0; count < 3; count++) {
    await functions.begin(context);
    context.vars.order = (await galley.ask("POST", "/orders", { hero_id: hero.id, meal_id: 1 }, token)).id;
    await functions.completed(context, { emit: (kind, name, value) => measured.push([kind, name, value]) });
  }
  await functions.leave(context);
  const times = measured.filter(([, name]) => name === "galley.place_to_completed");
  assert.ok(times.length === 3 && times.every(([kind, , time]) => kind === "histogram" && time > 0), JSON.stringify(measured));
  assert.ok(measured.filter(([, name]) => name === "galley.not_completed").every(([, , count]) => count === 0));
  assert.equal(await completed(), earlier + 3);
  const request = { headers: { Accept: "*/*" } };
  await functions.authorize(request);
  assert.deepEqual(request.headers, { Accept: "*/*", Authorization: `Bearer ${token}` });
});

test("the script of k6 measures from place to COMPLETED", async () => {
  const earlier = await completed();
  const script = ["--experimental-websocket", "--import", `${import.meta.dirname}/k6_stand_in.js`, `${import.meta.dirname}/k6_run.js`, `${recipes}/k6.js`];
  const { stdout } = await run(process.execPath, script, { env });
  const measured = JSON.parse(stdout);
  assert.equal(measured.place_to_completed.length, 3, stdout);
  assert.ok(measured.place_to_completed.every((time) => time >= 0 && time < 30_000), stdout);
  assert.deepEqual([measured.not_completed ?? [], measured.checks], [[], [true, true, true]]);
  assert.equal(await completed(), earlier + 3);
});
