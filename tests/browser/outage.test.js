// A gateway that is away, or says nothing, while somebody works with the dashboard.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, OUTAGE, useBrowser } from "./browser.js";
import { accessible, connected, kitchen, order } from "./dashboard.js";

useBrowser();

const views = [
  ["the choice of a hero", "#/order", (page) => page.locator(".heroes").getByText("Zoé")],
  ["the menu", "#/order?hero=1", (page) => page.getByRole("button", { name: "Commander Soup" })],
  ["the orders of a hero", "#/order?hero=1", (page) => order(page, 1, "COMPLETED")],
  ["the kitchen", "#/kitchen", (page) => order(page, 1, "COMPLETED")],
  ["an order in the kitchen", "#/kitchen?order=1", (page) => page.getByRole("dialog").getByText("Soup")],
  ["the list of meals", "#/manage?kind=meals", (page) => page.getByRole("button", { name: /Soup/ })],
  ["a meal", "#/manage?kind=meals&id=1", (page) => page.getByLabel("Planète d'origine")],
];
for (const [what, address, shown] of views) {
  test(`${what}, opened while the gateway is away, comes by itself when it is back`, async (t) => {
    const { galley, open } = await kitchen(t, browser, "0s", { language: "fr", expected: OUTAGE });
    await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
    const page = await open("#/console");
    await galley.kill();
    await page.evaluate((address) => (location.hash = address), address);
    if (what.startsWith("the orders") || what === "the kitchen") await page.locator('.connection[data-state="waiting"]').waitFor();
    else {
      await page.getByRole("alert").getByText("La passerelle est injoignable.").first().waitFor();
      await page.getByRole("button", { name: "Réessayer" }).first().waitFor();
      await accessible(page, what);
    }
    assert.equal(await page.getByText("Failed to fetch").count(), 0);
    await galley.restart();
    await shown(page).first().waitFor();
    await page.getByText("La passerelle est injoignable.").waitFor({ state: "detached" });
  });
}

test("the heroes of a list that was opened while the gateway is away come by themselves", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s", { expected: OUTAGE });
  const page = await open("#/console");
  await galley.kill();
  await page.getByRole("combobox", { name: "Speak as" }).click();
  await page.getByRole("alert").getByText("The gateway cannot be reached.").waitFor();
  await galley.restart();
  await page.getByRole("option", { name: /Zoé/ }).waitFor();
});

test("what is ordered from a gateway that does not answer is shown at once, each order by itself", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  const page = await open();
  const button = page.getByRole("button", { name: "Order Soup" });
  const sending = page.locator("[data-pending]");
  await button.click();
  await order(page, 1, "IN_PROGRESS").waitFor();

  galley.freeze();
  await button.click();
  await sending.getByText("Sending…").waitFor();
  await button.click();
  await sending.nth(1).waitFor();
  await page.locator(".connection").getByText("not answering").waitFor({ timeout: 8_000 });
  await page.getByText("The gateway does not answer.").waitFor();
  await accessible(page, "the gateway does not answer");
  galley.thaw();
  await connected(page);
  for (const id of [2, 3]) await order(page, id, "IN_PROGRESS").waitFor();
  await sending.first().waitFor({ state: "detached" });
  assert.equal((await galley.ask("GET", "/orders")).items.length, 3);

  // The same for what is done to an order.
  galley.freeze();
  await page.getByRole("button", { name: "Cancel order 2" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel order 2" }).click();
  await order(page, 2).getByText("Cancelling…").waitFor();
  assert.equal(await page.getByRole("button", { name: "Cancel order 2" }).isDisabled(), true);
  galley.thaw();
  await order(page, 2, "CANCELLED").waitFor();
  galley.freeze();
  await page.getByRole("button", { name: "Delete order 2" }).click();
  await order(page, 2).getByText("Deleting…").waitFor();
  galley.thaw();
  await order(page, 2).waitFor({ state: "detached" });
});

test("what was being sent when the page was left is shown as being sent when it is opened again", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h", { expected: OUTAGE });
  const page = await open();
  galley.freeze();
  await page.getByRole("button", { name: "Order Soup" }).click();
  await page.locator("[data-pending]").waitFor();
  await page.evaluate(() => (location.hash = "#/console"));
  await page.evaluate(() => (location.hash = "#/order?hero=1"));
  await page.locator("[data-pending]").waitFor();
  galley.thaw();
  await order(page, 1, "IN_PROGRESS").waitFor();
  assert.equal((await galley.ask("GET", "/orders")).items.length, 1);
});

test("what is saved with a gateway that does not answer is told of, and saved once when it does", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s", { expected: /status of 412/ });
  const page = await open("#/manage?kind=meals&id=1");
  await page.getByLabel("Origin planet").fill("Venus");
  galley.freeze();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Saving…" }).waitFor();
  await page.getByRole("alert").getByText("did not answer in time").waitFor();
  assert.equal(await page.getByLabel("Origin planet").inputValue(), "Venus");
  galley.thaw();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved: Soup").first().waitFor();
  const { origin_planet, version } = await galley.ask("GET", "/meals/1");
  assert.deepEqual([origin_planet, version], ["Venus", 2]);
});
