import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const BUDGET = 95_000;

test("the dashboard's JavaScript is at most 95 kB, compressed", (t) => {
  const folder = resolve(import.meta.dirname, "../../clients/dashboard/dist/assets");
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".js"));
  const size = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(resolve(folder, name)), { level: 9 }).length, 0);
  t.diagnostic(`${size} bytes`);
  assert.ok(size > 0 && size <= BUDGET, `${size} bytes`);
});
