// Many orders cancelled at once in the Kitchen: selected, undone in time, sent a few at once, with a result for each.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, useBrowser } from "./browser.js";
import { accessible, kitchen, order } from "./dashboard.js";

useBrowser();

const statusOf = async (galley, id) => (await galley.ask("GET", `/orders/${id}`)).status;

test("many orders are selected and cancelled with one reason, and each has its result", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  for (let placed = 0; placed < 12; placed++) await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  await galley.ask("POST", "/orders/12/cancel", { reason: "before" });
  const page = await open("#/kitchen");
  const button = (name) => page.getByRole("button", { name, exact: true });
  const box = (id) => page.getByRole("checkbox", { name: `Select order ${id}`, exact: true });
  await order(page, 12, "CANCELLED").waitFor();
  await button("Select").click();
  await box(12).press("Space");
  await box(12).press("ArrowDown");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Select order 11");
  await box(3).click({ modifiers: ["Shift"] });
  await page.getByText("10 selected, 9 not ended").waitFor();
  await box(2).press("Shift+Space");
  await page.getByText("11 selected, 10 not ended").waitFor();
  await page.getByLabel("Reason").fill("out of leek");
  await accessible(page, "orders are selected");
  await button("Cancel 10 orders").click();
  await page.getByText(/10 orders are cancelled in [45] s/).first().waitFor();
  await button("Undo").press("Enter");
  await page.getByText("Undone: nothing was sent.").first().waitFor({ state: "attached" });

  // Once more, and one ends elsewhere meanwhile.
  await button("Cancel 10 orders").click();
  await galley.ask("POST", "/orders/5/cancel", { reason: "elsewhere" });
  await page.getByText("10 / 10: 9 cancelled, 1 already ended, 0 failed").waitFor();
  await page.getByRole("listitem").filter({ hasText: "Order 5: already ended" }).waitFor();
  await page.getByRole("listitem").filter({ hasText: "Order 4: cancelled" }).waitFor();
  await accessible(page, "results");
  const { items } = await galley.ask("GET", "/orders?status=CANCELLED");
  assert.equal(items.filter(({ message }) => message === "out of leek").length, 9);
  assert.equal(await statusOf(galley, 1), "IN_PROGRESS");
  await button("Close").last().click();
  await page.getByRole("checkbox", { name: "Select all that are shown" }).check();
  await page.getByText("12 selected, 1 not ended").waitFor();
});

test("who leaves the kitchen before the time is over sends nothing, and is told so", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  const page = await open("#/kitchen");
  const begin = async () => {
    await page.getByRole("button", { name: "Select", exact: true }).click();
    await page.getByRole("checkbox", { name: "Select order 1" }).check();
    await page.getByRole("button", { name: "Cancel 1 order", exact: true }).click();
    await page.getByRole("button", { name: "Undo" }).waitFor();
  };
  const told = page.locator(".toast", { hasText: "nothing was sent" }).first();
  await begin();
  await page.getByRole("link", { name: "Console" }).click();
  await told.waitFor({ state: "attached" });
  await page.getByRole("link", { name: "Kitchen" }).click();
  await begin();
  await page.reload();
  await told.waitFor({ state: "attached" });
  assert.notEqual(await statusOf(galley, 1), "CANCELLED");
});
