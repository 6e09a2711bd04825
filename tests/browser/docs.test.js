import assert from "node:assert/strict";
import { test } from "node:test";
import { launch, watched } from "./browser.js";
import { accessible } from "./dashboard.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";
import { faults } from "./layout.js";
import { guarded } from "./token.js";

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

test("the page about the live updates is read under a path, with tokens on, at any width and in both themes; both pages lead to each other", async (t) => {
  const atEnd = endings(t);
  const galley = await start("--base-path", "/apps/galley", ...guarded);
  atEnd(() => galley.stop());
  const browser = await launch();
  atEnd(() => browser.close());
  const pages = await watched(browser, galley.url);
  atEnd(() => pages.close());
  const page = await pages.context.newPage();
  await page.goto("/apps/galley/docs");
  // A link of a description opens in a tab of its own.
  const [live] = await Promise.all([pages.context.waitForEvent("page"), page.getByRole("link", { name: "a page" }).click()]);
  await live.getByRole("heading", { name: "Galley, live" }).waitFor();
  assert.equal(new URL(live.url()).pathname, "/apps/galley/docs/live/");
  for (const [width, colorScheme] of [[360, "light"], [1_440, "dark"]]) {
    await live.setViewportSize({ width, height: 800 });
    await live.emulateMedia({ colorScheme });
    assert.deepEqual(await faults(live), [], `${width} ${colorScheme}`);
    await accessible(live, `${width} ${colorScheme}`);
  }
  await live.getByRole("link", { name: "resync" }).first().click();
  assert.match(await live.locator(":target").innerText(), /gateway → client/);
  const reconnect = live.getByRole("row", { name: /1012/ });
  assert.match(await reconnect.innerText(), /yes, after the after_ms/);
  for (const [name, path] of [["asyncapi.json", "/asyncapi.json"], ["Dashboard", "/"], ["REST (OpenAPI)", "/docs/"]]) {
    await live.getByRole("link", { name }).click();
    await live.waitForURL(`**/apps/galley${path}`);
    await live.goBack();
  }
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
