// The TypeScript client in a real browser, from the package as it is published.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { builtPages, documented, FRAMEWORKS } from "../../clients/typescript/test/built_pages.js";
import { stand } from "../../clients/typescript/test/stand.js";
import { browser, useBrowser } from "./browser.js";
import { endings } from "./endings.js";

useBrowser();

const atEnd = endings({ after });
let address, stage;
before(async () => {
  let page;
  address = await stand(atEnd, undefined, (incoming, response) => page(incoming, response));
  stage = await (await fetch(`${address}/stage`)).json();
  page = await builtPages(atEnd, (await documented()).replaceAll("http://127.0.0.1:8080", stage.gateway));
});

/** Opens a page in which nothing may be uncaught. */
async function open(test, path) {
  const context = await browser.newContext();
  const uncaught = [];
  context.on("weberror", (error) => uncaught.push(`${error.error()}`));
  test.after(async () => {
    await context.close();
    assert.deepEqual(uncaught, []);
  });
  const page = await context.newPage();
  await page.goto(address + path);
  return page;
}

async function hero() {
  const body = JSON.stringify({ name: "Zoé", planet: "Earth" });
  const answer = await fetch(`${stage.gateway}/heroes`, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  return (await answer.json()).id;
}

test("the dashboard of the README works, and has at most 30 lines", async (t) => {
  assert.ok((await documented()).trimEnd().split("\n").length <= 30);
  assert.equal(await hero(), 1);
  const page = await open(t, "/index.html");
  await page.getByText("connected").waitFor();
  await page.getByRole("combobox").selectOption("Soup");
  await page.getByRole("button", { name: "Order" }).click();
  await page.getByRole("row", { name: "COMPLETED" }).waitFor();
  assert.equal(await page.getByRole("row").count(), 1);
});

for (const framework of FRAMEWORKS) {
  test(`an app with ${framework} follows the orders`, async (t) => {
    const query = new URLSearchParams({ url: stage.gateway, hero: await hero(), meal: stage.mealId });
    const page = await open(t, `/${framework}.html?${query}`);
    await page.locator("#state", { hasText: "connected" }).waitFor();
    for (let count = 1; count <= 2; count++) {
      await page.getByRole("button", { name: "Order" }).click();
      await page.waitForFunction((count) => document.querySelectorAll("li").length === count, count);
      await page.waitForFunction(() => [...document.querySelectorAll("li")].every(({ textContent }) => textContent === "COMPLETED"));
    }
    assert.equal(await page.locator("#pending").textContent(), "0");
    await page.evaluate(() => globalThis.client.forget());
    await page.waitForFunction(() => document.querySelectorAll("li").length === 0);
    await page.evaluate(() => globalThis.leave());
    await page.waitForFunction(() => globalThis.client.state.name === "closed");
  });
}

test("every behaviour of the client holds in a browser", async (t) => {
  const page = await open(t, "/behaviours.html");
  await page.waitForFunction(() => globalThis.done, undefined, { timeout: 120_000 });
  const outcomes = await page.evaluate(() => globalThis.outcomes);
  assert.ok(outcomes.length > 15, `${outcomes.length} behaviours`);
  for (const { name, error, ms } of outcomes) await t.test(`${name} (${ms} ms)`, () => assert.equal(error, undefined));
});
