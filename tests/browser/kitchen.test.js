// The Kitchen as a tool: orders are found, sorted and filtered, and the address holds how.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, useBrowser } from "./browser.js";
import { accessible, kitchen, order } from "./dashboard.js";

useBrowser();

/** The numbers of the rows that are drawn, from the top. */
const rows = (page) => page.locator("tr[data-order]").evaluateAll((rows) => rows.map((row) => Number(row.dataset.order)));

/** Resolves when exactly these rows are drawn in this order. */
async function drawn(page, wanted) {
  await page.waitForFunction(
    (wanted) => JSON.stringify([...document.querySelectorAll("tr[data-order]")].map((row) => Number(row.dataset.order))) === wanted,
    JSON.stringify(wanted),
  ).catch(async (error) => assert.deepEqual(await rows(page), wanted, error.message));
}

test("the search of the kitchen finds numbers, heroes, meals and messages, also what is not loaded", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s", { expected: /status of 404/ });
  const place = (hero_id, meal_id) => galley.ask("POST", "/orders", { hero_id, meal_id });
  await galley.ask("POST", "/heroes", { name: "Nova", planet: "Vega", allergies: ["peanut"] });
  await galley.ask("POST", "/meals", { name: "Crème brûlée", price: 1, origin_planet: "Io" });
  await galley.ask("POST", "/meals", { name: "Satay", price: 1, origin_planet: "Io", ingredients: ["Peanut"] });
  await place(2, 2);
  await place(2, 3);
  while ((await galley.ask("GET", "/orders/2")).status !== "CANCELLED");
  for (let placed = 0; placed < 110; placed++) await place(1, 1);
  const page = await open("#/kitchen");
  const search = page.getByRole("searchbox", { name: /Search/ });
  await order(page, 112, "COMPLETED").waitFor();
  for (const [typed, found] of [
    ["NOVA", [2, 1]],
    ["#1", [1]],
    ["creme nova", [1]],
    ["zoe satay", []],
    ["peanut", [2]],
    ["hero:2 meal:3", [2]],
    ["hero:nova meal:brulee", [1]],
    ["99999", []],
  ]) {
    await search.fill(typed);
    await drawn(page, found);
  }
  await page.getByText("No order matches the filter.").waitFor();
  await search.fill("nova");
  await drawn(page, [2, 1]);
  await page.reload();
  await drawn(page, [2, 1]);
  assert.equal(await search.inputValue(), "nova");
  await page.goto("/#/kitchen?hero=2");
  await drawn(page, [2, 1]);
  assert.equal(await search.inputValue(), "hero:2", "a link of before");
});

test("orders are sorted by each column, and the address keeps it", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  for (const name of ["Äpfel", "Zebra 10", "Zebra 9"]) await galley.ask("POST", "/meals", { name, price: 1, origin_planet: "Io" });
  for (const meal_id of [4, 2, 3, 1]) await galley.ask("POST", "/orders", { hero_id: 1, meal_id });
  const page = await open("#/kitchen");
  const head = (name) => page.getByRole("columnheader", { name });
  await drawn(page, [4, 3, 2, 1]);
  assert.equal(await head("Order", { exact: true }).first().getAttribute("aria-sort"), "descending");
  const press = (name) => head(name).getByRole("button").press("Enter");
  await press("Meal");
  await drawn(page, [2, 4, 1, 3]);
  assert.equal(await head("Meal").getAttribute("aria-sort"), "ascending");
  await press("Meal");
  await drawn(page, [3, 1, 4, 2]);
  assert.match(page.url(), /sort=-meal/);
  await page.reload();
  await drawn(page, [3, 1, 4, 2]);
  await accessible(page, "sorted");
  await press("Meal");
  await drawn(page, [4, 3, 2, 1]);
  await head("Order").first().getByRole("button").click();
  await drawn(page, [1, 2, 3, 4]);
});

test("late orders are marked in words, counted, and can be filtered by their age", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  const page = await open("#/kitchen");
  await order(page, 1, "IN_PROGRESS").waitFor();
  assert.equal(await order(page, 1).getByText("late").count(), 0);
  await page.getByLabel("Age", { exact: true }).selectOption("late");
  await page.getByText("No order matches the filter.").waitFor();
  await order(page, 1).getByText("late").waitFor();
  await page.getByRole("heading", { name: "1 late" }).waitFor();
  await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  await accessible(page, "late orders");
  await page.reload();
  await drawn(page, [1]);
  await page.getByLabel("Age", { exact: true }).selectOption("over 1 min");
  await drawn(page, []);
  await page.getByLabel("Age", { exact: true }).selectOption("any age");
  await drawn(page, [2, 1]);
  assert.equal(await order(page, 2).getByText("late").count(), 0);
});

test("columns and the height of rows are chosen, and remembered", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  const page = await open("#/kitchen");
  await order(page, 1, "COMPLETED").waitFor();
  await page.getByText("Columns", { exact: true }).press("Enter");
  await page.getByLabel("compact rows").check();
  await page.getByLabel("Hero", { exact: true }).uncheck();
  await accessible(page, "options of the table");
  await page.reload();
  await order(page, 1).waitFor();
  assert.equal(await page.getByRole("columnheader", { name: "Hero" }).count(), 0);
  assert.equal(await order(page, 1).evaluate((row) => row.offsetHeight), 36);
});
