import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";

const source = resolve(import.meta.dirname, "../../clients/dashboard/src");

/** The classes that a style names, without those that a component only reads from elsewhere. */
const classes = (style) => new Set([...style.replaceAll(/\/\*.*?\*\/|:global\([^)]*\)/gs, "").matchAll(/\.([A-Za-z][\w-]*)/g)].map(([, name]) => name));

test("no component gives a style of its own to a class of app.css, whose style would mix with it", () => {
  const everywhere = classes(readFileSync(resolve(source, "app.css"), "utf8"));
  const components = readdirSync(source, { recursive: true }).filter((name) => name.endsWith(".svelte"));
  assert.ok(everywhere.size > 10 && components.length > 20);
  const mixed = components.flatMap((name) => {
    const style = /<style>(.*)<\/style>/s.exec(readFileSync(resolve(source, name), "utf8"))?.[1] ?? "";
    return [...classes(style)].filter((own) => everywhere.has(own)).map((own) => `${name}: .${own}`);
  });
  assert.deepEqual(mixed, []);
});
