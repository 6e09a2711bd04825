// Every behaviour in every runtime with the runtime's own WebSocket, from the package as it is published.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { endings } from "../../../tests/browser/endings.js";
import { freshApp } from "./fresh_app.js";
import { guardedGateway, stand } from "./stand.js";

const tools = resolve(import.meta.dirname, "../../../target/tools/runtimes/node_modules");
/** Each with how it runs a script; `./test` installs them. */
const RUNTIMES = {
  "Node 22": ["node-22/bin/node"],
  "Node 24": ["node-24/bin/node"],
  Deno: [".bin/deno", "run", "--quiet", "--no-remote", "--node-modules-dir=manual", "--allow-net=127.0.0.1", "--allow-read"],
  Bun: [".bin/bun", "run", "--no-install"],
};

describe("the client", { concurrency: true }, () => {
  let app, tokens;
  const atEnd = endings({ after });
  before(async () => {
    [app, tokens] = await Promise.all([freshApp(atEnd), guardedGateway(atEnd)]);
  });
  for (const [runtime, command] of Object.entries(RUNTIMES)) {
    test(`every behaviour holds in ${runtime}`, async (t) => {
      const [program, ...options] = command;
      assert.ok(existsSync(join(tools, program)), `there is no ${runtime} in target/tools/runtimes: ./test installs it`);
      const address = await stand(endings(t), tokens);
      const child = spawn(join(tools, program), [...options, join(app, "behaviour/run.js"), address], { cwd: app, env: { PATH: process.env.PATH, HOME: app } });
      const said = [];
      createInterface(child.stderr).on("line", (line) => said.push(line));
      const outcomes = [];
      createInterface(child.stdout).on("line", (line) => outcomes.push(line));
      const code = await new Promise((resolve) => child.once("close", resolve));
      assert.equal(code, 0, `${runtime} ended with ${code}:\n${[...outcomes, ...said].join("\n")}`);
      await conclude(t, outcomes.map((line) => JSON.parse(line)));
    });
  }
});

/** A test for each behaviour. */
async function conclude(test, outcomes) {
  assert.ok(outcomes.length > 15, `${outcomes.length} behaviours`);
  for (const { name, error, ms } of outcomes) await test.test(`${name} (${ms} ms)`, () => assert.equal(error, undefined));
}
