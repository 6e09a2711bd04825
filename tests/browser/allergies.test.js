// The page marks the meals that the service refuses, and no others.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { browser, useBrowser } from "./browser.js";
import { kitchen } from "./dashboard.js";

const vectors = JSON.parse(await readFile(new URL("../../protocol/src/allergy.json", import.meta.url)));
// Bidirectional controls and tags may be stored from before they were refused; nobody can type them any more.
const refused = /[\p{Bidi_Control}\u{E0000}-\u{E00FF}]/u;

useBrowser();

test("a meal is marked exactly when the service would refuse it", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  const pairs = [...vectors.equal, ...vectors.different].filter((pair) => !pair.some((text) => refused.test(text)));
  assert.ok(pairs.length > 45, `${pairs.length} pairs`);
  const allergies = pairs.map(([allergy]) => allergy);
  const hero = await galley.ask("POST", "/heroes", { name: "Allergic", planet: "Earth", allergies });
  const orders = [];
  for (const [index, [, ingredient]] of pairs.entries()) {
    const meal = { name: `Meal ${index}`, price: 1, origin_planet: "Mars", ingredients: [ingredient, "leek"] };
    const { id } = await galley.ask("POST", "/meals", meal);
    orders.push({ meal: meal.name, ...(await galley.ask("POST", "/orders", { hero_id: hero.id, meal_id: id })) });
  }
  const page = await open(`#/order?hero=${hero.id}`);
  for (const { meal, id } of orders) {
    let order;
    do order = await galley.ask("GET", `/orders/${id}`);
    while (!order.completed_time);
    const marked = await page.getByRole("button", { name: `Order anyway: ${meal}`, exact: true }).count();
    assert.equal(marked, order.reason === "allergy" ? 1 : 0, `${meal}: ${JSON.stringify(pairs[Number(meal.slice(5))])} ${order.message}`);
  }
});
