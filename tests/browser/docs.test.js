import assert from "node:assert/strict";
import { test } from "node:test";
import { launch, watched } from "./browser.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";

test("the API page works without anybody else", async (t) => {
  const atEnd = endings(t);
  const galley = await start("--processing-delay", "0s");
  atEnd(() => galley.stop());
  const browser = await launch();
  atEnd(() => browser.close());
  const pages = await watched(browser, galley.url);
  atEnd(() => pages.close());
  const page = await pages.context.newPage();
  await page.goto("/docs");
  const operation = page.locator(".opblock", { hasText: "/healthz" });
  await operation.waitFor();
  await operation.locator(".opblock-summary").click();
  await operation.getByRole("button", { name: "Execute" }).click();
  await operation.getByText('"status": "alive"').first().waitFor();
  assert.ok((await page.locator(".opblock").count()) > 15);
});

test("JavaScript reads every pattern of the documents, with the flag that JSON Schema asks for and without", async (t) => {
  const atEnd = endings(t);
  const galley = await start("--processing-delay", "0s");
  atEnd(() => galley.stop());
  const patterns = new Set();
  for (const document of ["/openapi.json", "/asyncapi.json"]) {
    const collect = (name, value) => (name === "pattern" && typeof value === "string" && patterns.add(value), value);
    JSON.parse(await (await fetch(galley.url + document)).text(), collect);
  }
  assert.ok(patterns.size >= 5, [...patterns].join("\n"));
  for (const pattern of patterns) {
    assert.doesNotThrow(() => [new RegExp(pattern, "u"), new RegExp(pattern)], pattern);
  }
});
